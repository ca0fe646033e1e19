# SPDX-License-Identifier: ISC
"""The servers beside a mail server, as one small program: it speaks the
protocols, refuses nothing, and writes down for which client it was called.

    standins.py RECORD KIND NAME LISTEN... -- KIND NAME LISTEN...

milter  every message may pass           filter  pipes SMTP on to its last word
policy  DUNNO                            sink    takes SMTP, keeps nothing
auth    Dovecot's auth: any user         lmtp    takes LMTP, keeps nothing
dns     A, MX and PTR for test names     tcp     a table that holds nothing
"""
import base64
import os
import re
import socket
import socketserver
import struct
import sys
import threading

record_fd = None


def record(kind, name, client):
    os.write(record_fd, f"{kind} {name} {client}\n".encode())


class Handler(socketserver.StreamRequestHandler):
    """self.server has name and words, the rest of the command line."""

    def handle(self):
        try:
            self.talk()
        except (ConnectionError, struct.error, ValueError):
            pass

    def lines(self):
        return (line.decode(errors="replace").rstrip("\r\n")
                for line in self.rfile)

    def say(self, text):
        self.wfile.write(text.encode())


class Milter(Handler):
    """Sendmail's milter protocol, version 6."""

    SILENT = b"DAQK"        # macros, abort, quit: nothing is answered

    def packet(self, command, data=b""):
        self.wfile.write(struct.pack("!I", len(data) + 1) + command + data)

    def talk(self):
        while head := self.rfile.read(4):
            data = self.rfile.read(struct.unpack("!I", head)[0])
            command, data = data[:1], data[1:]
            if command == b"O":
                # no headers, no body; every other step, so that it is seen
                self.packet(b"O", struct.pack("!III", 6, 0, 0x10 | 0x20 | 0x40))
            elif command == b"Q":
                return
            elif command == b"R":
                record("milter", self.server.name, self.client)
                self.packet(b"c")
            elif command not in self.SILENT:
                if command == b"C":
                    self.client = data.split(b"\0")[1][3:].decode() or "-"
                self.packet(b"c")


class Policy(Handler):
    def talk(self):
        asked = {}
        for line in self.lines():
            if line:
                name, _, value = line.partition("=")
                asked[name] = value
                continue
            record("policy", self.server.name, asked.get("client_address"))
            self.say("action=DUNNO\n\n")
            asked = {}


class Auth(Handler):
    def talk(self):
        self.say("VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\t"
                 "plaintext\nSPID\t1\nCUID\t1\nCOOKIE\t"
                 "0123456789abcdef0123456789abcdef\nDONE\n")
        for line in self.lines():
            words = line.split("\t")
            if words[0] == "AUTH":
                plain = base64.b64decode(words[-1].partition("resp=")[2])
                user = plain.decode().split("\0")[1]
                self.say(f"OK\t{words[1]}\tuser={user}\n")


class Sink(Handler):
    """SMTP and LMTP: the answer to DATA is one, or one for each recipient."""

    def talk(self):
        self.say("220 sink.test ready\r\n")
        recipients = 0
        lines = self.lines()
        for line in lines:
            verb = line[:4].upper()
            if verb in ("EHLO", "LHLO", "HELO"):
                self.say("250 sink.test\r\n")
            elif verb == "RCPT":
                recipients += 1
                self.say("250 2.1.5 Ok\r\n")
            elif verb == "DATA":
                self.say("354 Go on\r\n")
                while next(lines) != ".":
                    pass
                self.say("250 2.0.0 Ok\r\n" *
                         (recipients if self.server.kind == "lmtp" else 1))
                recipients = 0
            elif verb == "QUIT":
                self.say("221 Bye\r\n")
                return
            else:
                self.say("250 Ok\r\n")


class Filter(Handler):
    """A pipe to the re-injection port, which is Postfix again."""

    def talk(self):
        with connect(self.server.words[-1]) as onward:
            back = threading.Thread(target=self.pump,
                                    args=(onward, self.request), daemon=True)
            back.start()
            self.pump(self.request, onward, self.watch)
            back.join()

    def pump(self, source, target, watch=None):
        try:
            while data := source.recv(65536):
                if watch:
                    watch(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def watch(self, data):
        found = re.search(rb"ADDR=([0-9a-fA-F.:]+)", data)
        if found:
            record("filter", self.server.name, found[1].decode())


class Tcp(Handler):
    """tcp_table(5)"""

    def talk(self):
        for _ in self.lines():
            self.say("500 not found\n")


class Dns(socketserver.DatagramRequestHandler):
    """Answer for names of the tests; no other name exists."""

    A, PTR, MX = 1, 12, 15

    def handle(self):
        query = self.rfile.read()
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
            at += 1 + query[at]
        kind, = struct.unpack_from("!H", query, at + 1)
        data = self.answer([label.lower() for label in labels], kind)
        known = data is not None
        flags = 0x8580 | (0 if known else 3)
        self.wfile.write(query[:2] + struct.pack(
            "!HHHHH", flags, 1, 1 if data else 0, 0, 0) + query[12:at + 5])
        if data:
            self.wfile.write(b"\xc0\x0c" + struct.pack(
                "!HHIH", kind, 1, 60, len(data)) + data)

    def answer(self, labels, kind):
        """The data of the one record; b"": none of this kind; None: no such
        name."""
        if labels[-2:] == ["in-addr", "arpa"]:
            host = "-".join(["host", *labels[:4], "client", "test"])
            return encode(host.replace("-client-test", ".client.test")) \
                if kind == self.PTR else b""
        if not any(".".join(labels).endswith(name)
                   for name in self.server.words[1:]):
            return None
        if labels[1:] == ["client", "test"] and labels[0].count("-") == 4:
            host = bytes(map(int, reversed(labels[0].split("-")[1:])))
        else:
            host = bytes((198, 51, 100, 25))
        if kind == self.MX:
            return b"\0\x0a" + encode("mx.elsewhere.test")
        return host if kind == self.A else b""


def encode(name):
    return b"".join(bytes((len(word),)) + word.encode()
                    for word in name.split(".")) + b"\0"


def address(text):
    """HOST:PORT, or the path of a socket."""
    if text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def connect(text):
    where = address(text)
    onward = socket.socket(socket.AF_UNIX if isinstance(where, str)
                           else socket.AF_INET)
    onward.connect(where)
    return onward


KINDS = {"milter": Milter, "policy": Policy, "auth": Auth, "sink": Sink,
         "lmtp": Sink, "filter": Filter, "dns": Dns, "tcp": Tcp}


def serve(kind, name, words):
    """One thread, and one more for each connection."""
    where = address(words[0])
    base = socketserver.ThreadingUDPServer if kind == "dns" else \
        socketserver.ThreadingUnixStreamServer if isinstance(where, str) \
        else socketserver.ThreadingTCPServer
    server = type("Server", (base,), {
        "daemon_threads": True, "allow_reuse_address": True,
        "request_queue_size": 64,
        "address_family": socket.AF_UNIX if isinstance(where, str)
        else socket.AF_INET6 if ":" in where[0] else socket.AF_INET})(
            where, KINDS[kind])
    server.kind, server.name, server.words = kind, name, words
    if isinstance(where, str):
        os.chmod(where, 0o666)
    threading.Thread(target=server.serve_forever).start()


def main(path, *words):
    global record_fd
    record_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for group in " ".join(words).split(" -- "):
        kind, name, *rest = group.split()
        serve(kind, name, rest)
    record("ready", "-", "-")


if __name__ == "__main__":
    main(*sys.argv[1:])
