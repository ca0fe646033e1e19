# SPDX-License-Identifier: ISC
"""Somebody else in popgate's place, on a socket of its own: a program, since a
process that has entered a namespace can't start threads."""
import os
import socket
import sys
import threading
import time

from .process import Process


class Answers(Process):
    """Says answer to each request of the policy protocol: bytes, or a list of
    them, one a tenth of a second; None: nothing, and hangs."""

    def __init__(self, path, answer, log_directory):
        path.unlink(missing_ok=True)
        self.path = path
        super().__init__("answers", [
            sys.executable, "-c",
            f"import sys; sys.path.insert(0, {str(sys.path[0])!r}); "
            "from lab import answers; "
            f"answers.serve({str(path)!r}, {answer!r})"], log_directory)
        self.log.unlink(missing_ok=True)
        self.start()
        self.ready(path.exists, "its socket")

    def asked(self):
        return self.log.read_text().count("asked")

    def close(self):
        self.kill()
        self.path.unlink(missing_ok=True)


def serve(path, answer):
    new = socket.socket(socket.AF_UNIX)
    new.bind(path + ".new")
    os.chmod(path + ".new", 0o777)
    new.listen(20)
    os.rename(path + ".new", path)
    while True:
        connection, _ = new.accept()
        threading.Thread(target=talk, args=[connection, answer]).start()


def talk(connection, answer):
    request = b""
    try:
        while b"\n\n" not in request:
            request += connection.recv(8192) or b"\n\n"
        print("asked", flush=True)
        if answer is None:
            threading.Event().wait()
        for piece in [answer] if isinstance(answer, bytes) else answer:
            connection.sendall(piece)
            if not isinstance(answer, bytes):
                time.sleep(0.1)
    except OSError:
        pass
    connection.close()
