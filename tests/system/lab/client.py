# SPDX-License-Identifier: ISC
"""SMTP, POP3 and IMAP clients that come from any address we like.

Not smtplib: the tests send what no honest client would, byte by byte.
"""
import base64
import collections
import socket
import ssl
import uuid

from .process import PATIENCE

IPV6_FREEBIND = 78          # linux/in6.h: bind an address we don't have

Reply = collections.namedtuple("Reply", "code text")
Reply.__str__ = lambda self: f"{self.code} {self.text}"
Sent = collections.namedtuple("Sent", "mail rcpt data token")


class Line:
    """A line-oriented connection from the client's address to a server."""

    def __init__(self, server, client=None, timeout=PATIENCE):
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if client is not None:
            if family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
            self.socket.bind((client, 0))
        self.socket.connect(server)
        self.file = self.socket.makefile("rb")

    def send(self, line):
        data = line if isinstance(line, bytes) else line.encode()
        self.socket.sendall(data + b"\r\n")

    def receive(self):
        return self.file.readline().decode(errors="replace").rstrip("\r\n")

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Smtp(Line):
    """One SMTP session. `with Smtp(server, client) as smtp: smtp.mail(...)`"""

    def __init__(self, server, client=None, helo="client.example"):
        super().__init__(server, client)
        self.greeting = self.reply()
        self.helo = helo
        if self.greeting.code == 220:
            self.ehlo = self.command(f"EHLO {helo}")

    def reply(self):
        """Reply code and text (lines joined by \\n); code 0: hung up."""
        lines = []
        while True:
            try:
                line = self.receive()
            except ConnectionError:
                line = ""
            if not line[:3].isdigit():
                return Reply(0, "connection closed")
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(int(line[:3]), "\n".join(lines))

    def command(self, line):
        try:
            self.send(line)
        except ConnectionError:
            return Reply(0, "connection closed")
        return self.reply()

    def mail(self, sender, parameters=""):
        return self.command(f"MAIL FROM:<{sender}>{parameters}")

    def rcpt(self, recipient):
        return self.command(f"RCPT TO:<{recipient}>")

    def rset(self):
        return self.command("RSET")

    def data(self, token):
        reply = self.command("DATA")
        if reply.code != 354:
            return reply
        return self.command(f"Subject: {token}\r\nMessage-ID: "
                            f"<{token}@client.example>\r\n\r\n{token}\r\n.")

    def auth_plain(self, user, password):
        word = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {word}")

    def starttls(self, certificate=None):
        """certificate: the client's own, a PEM file with its key."""
        reply = self.command("STARTTLS")
        if reply.code == 220:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if certificate is not None:
                context.load_cert_chain(certificate)
            self.file.close()
            self.socket = context.wrap_socket(self.socket)
            self.file = self.socket.makefile("rb")
            self.ehlo = self.command(f"EHLO {self.helo}")
        return reply

    def transaction(self, sender, *recipients):
        """MAIL, every RCPT, and DATA when one of them was accepted."""
        token = new_token()
        mail = self.mail(sender)
        rcpt = [self.rcpt(recipient) for recipient in recipients]
        data = None
        if any(reply.code == 250 for reply in rcpt):
            data = self.data(token)
        else:
            self.rset()
        return Sent(mail, rcpt, data, token)


def new_token():
    return "token-" + uuid.uuid4().hex


def pop3_login(server, client, user, password):
    """True when the server let the user in."""
    with Line(server, client) as pop3:
        pop3.receive()
        pop3.send(f"USER {user}")
        pop3.receive()
        pop3.send(f"PASS {password}")
        reply = pop3.receive()
        pop3.send("QUIT")
        return reply.startswith("+OK")


def imap_login(server, client, user, password):
    with Line(server, client) as imap:
        imap.receive()
        imap.send(f'a LOGIN "{user}" "{password}"')
        reply = imap.receive()
        while reply.startswith("*"):
            reply = imap.receive()
        imap.send("b LOGOUT")
        return reply.startswith("a OK")
