# SPDX-License-Identifier: ISC
"""Servers that Postfix's socketmap and tcp tables ask: tables.py SOCKET PORT.
Both have a.test and x.b.test."""
import os
import re
import socketserver
import sys
import threading

KEYS = (b"a.test", b"x.b.test")


class Socketmap(socketserver.BaseRequestHandler):
    def handle(self):
        data = b""
        while True:
            more = self.request.recv(1000)
            if not more:
                return
            data += more
            while m := re.match(rb"(\d+):", data):
                end = m.end() + int(m[1])
                if len(data) <= end:
                    break
                key = data[m.end():end].split(b" ", 1)[1]
                data = data[end + 1:]
                text = b"OK x" if key in KEYS else b"NOTFOUND "
                self.request.sendall(b"%d:%s," % (len(text), text))


class TcpTable(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"200 x\n" if line.split()[1] in KEYS
                             else b"500 none\n")


class Unix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Tcp(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = allow_reuse_address = True


if __name__ == "__main__":
    path, port = sys.argv[1:]
    unix = Unix(path, Socketmap)
    os.chmod(path, 0o666)
    threading.Thread(target=unix.serve_forever, daemon=True).start()
    Tcp(("127.0.0.1", int(port)), TcpTable).serve_forever()
