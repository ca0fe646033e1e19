# SPDX-License-Identifier: ISC
"""Servers of a few lines that the shapes of mail servers need, each a process
of its own: a filter that only looks on, and a name server.

    filters.py filter SOCKET RECORD
    filters.py names ADDRESS LISTED...
"""
import pathlib
import socket
import socketserver
import struct
import sys


class Filter:
    """A milter that lets everything pass and remembers whom it was asked
    about."""

    def __init__(self, site, name, directory):
        from .process import Process    # not when this file is the program
        self.path = pathlib.Path(directory, f"{name}.sock")
        self.record = pathlib.Path(directory, f"{name}.asked")
        self.record.write_text("")
        self.process = Process(f"filter-{name}", [
            sys.executable, __file__, "filter", self.path, self.record],
            site.log).start().accepts(self.path)

    @property
    def asked(self):
        """[(sender, recipient)]"""
        return [tuple(line.split("\t"))
                for line in self.record.read_text().splitlines()]

    def close(self):
        self.process.kill()


class Session(socketserver.StreamRequestHandler):
    """One connection of a mail server to the filter."""

    def handle(self):
        sender = ""
        while len(head := self.rfile.read(5)) == 5:
            size, command = struct.unpack("!Ic", head)
            data = self.rfile.read(size - 1)
            if command == b"O":         # version, actions, protocol
                reply = b"O" + data[:4] + bytes(8)
            elif command in b"DA":      # macros, abort: no reply
                continue
            elif command == b"Q":
                return
            else:
                reply = b"c"
            if command == b"M":
                sender = data.split(b"\0")[0].decode()
            elif command == b"R":
                recipient = data.split(b"\0")[0].decode()
                with open(self.server.record, "a") as record:
                    record.write(f"{sender}\t{recipient}\n")
            self.wfile.write(struct.pack("!I", len(reply)) + reply)


class Listener(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 20


class Names:
    """DNS in which every domain exists.  10.9.M.N has the name
    cN.M.clients.test when N is even, else none; listed: addresses in the
    block list bl.test."""

    A, PTR = 1, 12

    def __init__(self, address, listed=()):
        self.listed = {".".join(reversed(client.split("."))) + ".bl.test"
                       for client in listed}
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind((address, 53))

    def answer(self, name, kind):
        labels = name.split(".")
        if name.endswith("in-addr.arpa"):
            if kind == self.PTR and int(labels[0]) % 2 == 0 and \
                    name.endswith(".9.10.in-addr.arpa"):
                return encode(f"c{labels[0]}.{labels[1]}.clients.test")
            return None
        if name.endswith(".bl.test"):
            return bytes((127, 0, 0, 2)) \
                if name in self.listed and kind == self.A else None
        if kind != self.A:
            return b""
        if name.endswith(".clients.test"):
            return bytes((10, 9, int(labels[1]), int(labels[0][1:])))
        return bytes((198, 51, 100, 25))

    def serve(self):
        while True:
            query, peer = self.server.recvfrom(2000)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            kind = struct.unpack("!H", query[at + 1:at + 3])[0]
            data = self.answer(".".join(labels).lower(), kind)
            reply = query[:2] + struct.pack(
                "!HHHHH", 0x8580 | (3 if data is None else 0), 1,
                bool(data), 0, 0) + query[12:at + 5]
            if data:
                reply += struct.pack("!HHHIH", 0xC00C, kind, 1, 60,
                                     len(data)) + data
            self.server.sendto(reply, peer)


def encode(name):
    return b"".join(bytes((len(label),)) + label.encode()
                    for label in name.split(".")) + b"\0"


def main(what, where, *more):
    if what == "names":
        Names(where, more).serve()
    else:
        with Listener(where, Session) as server:
            server.record, = more
            server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
