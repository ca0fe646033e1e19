# SPDX-License-Identifier: ISC
"""doctor --probe against servers that are anything but a mail server's best
day: each records every command, and none may ever be DATA."""
import json
import re
import socket
import subprocess
import threading
import time

import pytest

from lab.process import need
from lab.site import BUILD

CONFIG = """\
logins: {{ database = "{0}/logins.db"; }};
audit: {{ database = "{0}/audit.db"; }};
relay: {{ local_domains = [ "lab.test", "other.test" ]; }};
"""


class Server(threading.Thread):
    """One SMTP server; answer(self, verb, argument) says what."""

    greeting = b"220 mail.lab.test ESMTP\r\n"

    def __init__(self, answer=None):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.commands = []
        self.sessions = 0
        if answer:
            self.answer = answer.__get__(self)
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.sessions += 1
            self.errors = 0
            with connection:
                try:
                    self.talk(connection)
                except OSError:
                    pass

    def talk(self, connection):
        self.helo = self.sender = None
        connection.sendall(self.greeting)
        with connection.makefile("rb") as lines:
            for line in lines:
                line = line.rstrip(b"\r\n")
                self.commands.append(line)
                verb = line.split(b" ")[0].upper().decode()
                if verb in ("EHLO", "HELO"):
                    self.helo = line[5:].decode()
                if verb == "MAIL":
                    self.sender = line[11:-1].decode()
                reply = self.answer(verb, line.partition(b":")[2])
                if reply is None:
                    return
                connection.sendall(reply)
                if verb == "QUIT":
                    return

    def rcpt(self, recipient):
        """A closed server with the mailboxes postmaster@ours."""
        if recipient in (b"<postmaster@lab.test>",
                         b"<postmaster@other.test>"):
            return b"250 2.1.5 Ok\r\n"
        if re.fullmatch(rb"<[^@%!\"]*@(lab|other).test>", recipient):
            return b"550 5.1.1 User unknown\r\n"
        return b"550 5.7.1 Relaying denied\r\n"

    def answer(self, verb, argument):
        if verb == "RCPT":
            return self.rcpt(argument)
        return b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n"

    def close(self):
        self.socket.close()
        allowed = {b"EHLO", b"HELO", b"MAIL", b"RCPT", b"RSET", b"QUIT"}
        assert {c.split(b" ")[0] for c in self.commands} <= allowed
        assert not any(b"\r" in c or b"\n" in c for c in self.commands)


@pytest.fixture
def serve():
    servers = []

    def start(answer=None, **changes):
        kind = type("Changed", (Server,), changes)
        servers.append(kind(answer))
        return servers[-1]
    yield start
    for server in servers:
        server.close()


@pytest.fixture
def probe(tmp_path):
    config = tmp_path / "popgate.conf"
    config.write_text(CONFIG.format(tmp_path))

    def run(server, *options, text=False, timeout="30s"):
        done = subprocess.run(
            [need(BUILD / "popgatectl", "nothing: run make"), "-c", config,
             "doctor", "--probe", "--host", f"127.0.0.1:{server.port}",
             "--timeout", timeout, *([] if text else ["--json"]), *options],
            capture_output=True, timeout=300)
        assert b"no message" in done.stderr
        if text:
            return done
        found = {}
        for finding in json.loads(done.stdout)["findings"]:
            found.setdefault(finding["id"], finding["detail"])
        probes = {name: detail for name, detail in found.items()
                  if name.startswith("probe-")}
        return done.returncode, probes
    return run


def test_closed(serve, probe):
    server = serve()
    status, found = probe(server)
    assert list(found) == ["probe-closed"], found
    assert status < 2
    asked = {c for c in server.commands if c.startswith(b"RCPT")}
    assert len(asked) > 120
    assert b"RCPT TO:<postmaster@other.test>" in asked
    senders = {c for c in server.commands if c.startswith(b"MAIL")}
    assert {b"MAIL FROM:<>", b"MAIL FROM:<postmaster@lab.test>",
            b"MAIL FROM:<popgate-probe@[127.0.0.1]>"} <= senders
    helos = {c for c in server.commands if c.startswith(b"EHLO")}
    assert {b"EHLO mail.lab.test", b"EHLO [127.0.0.1]"} <= helos
    # every question is taken back at once
    assert server.commands.count(b"RSET") >= len(asked)


def test_open(serve, probe):
    def answer(self, verb, argument):
        return b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n"

    status, found = probe(serve(answer))
    assert status == 2
    assert "probe-open-relay" in found and "probe-closed" not in found


@pytest.mark.parametrize("sender", ["", "postmaster@lab.test",
                                    "root@lab.test",
                                    "popgate-probe@[127.0.0.1]",
                                    "boss@partner.test"])
def test_sender_opens(serve, probe, sender):
    def rcpt(self, recipient):
        if self.sender == sender:
            return b"250 ok\r\n"
        return Server.rcpt(self, recipient)

    status, found = probe(serve(rcpt=rcpt), "--sender", "boss@partner.test")
    assert status == 2
    assert "probe-sender-opens" in found and "probe-open-relay" not in found
    assert f"MAIL FROM:<{sender}>" in found["probe-sender-opens"]


def test_helo_opens(serve, probe):
    def rcpt(self, recipient):
        if self.helo == "mail.lab.test":
            return b"250 ok\r\n"
        return Server.rcpt(self, recipient)

    status, found = probe(serve(rcpt=rcpt))
    assert status == 2
    assert set(found) == {"probe-helo-opens"}


@pytest.mark.parametrize("form", [
    rb"<popgate-probe%example.net@other.test>",
    rb"<@lab.test:popgate-probe@example.net>",
    rb"<example.net!popgate-probe>",
    rb'<"popgate-probe@example.net">'])
def test_one_form_opens(serve, probe, form):
    def rcpt(self, recipient):
        if recipient == form:
            return b"250 ok\r\n"
        return Server.rcpt(self, recipient)

    status, found = probe(serve(rcpt=rcpt))
    assert status == 2
    assert set(found) == {"probe-form-opens"}
    assert form.decode() in found["probe-form-opens"]


def test_domain_that_takes_any_name(serve, probe):
    """A form in a domain that takes any name isn't a relay for certain."""
    def rcpt(self, recipient):
        if recipient.endswith(b"@lab.test>"):
            return b"250 ok\r\n"
        return Server.rcpt(self, recipient)

    status, found = probe(serve(rcpt=rcpt))
    assert status == 1
    assert set(found) == {"probe-form-unsure"}


def test_program(serve, probe):
    def rcpt(self, recipient):
        if recipient == b"<|/bin/true>":
            return b"250 ok\r\n"
        return Server.rcpt(self, recipient)

    status, found = probe(serve(rcpt=rcpt))
    assert (status, set(found)) == (1, {"probe-program"})


def test_own_domain_refused(serve, probe):
    def rcpt(self, recipient):
        if b"other.test>" in recipient:
            return b"550 5.7.1 Relaying denied\r\n"
        return Server.rcpt(self, recipient)

    status, found = probe(serve(rcpt=rcpt))
    assert status == 1
    assert "other.test" in found["probe-own-refused"]


def test_put_off_is_not_closed(serve, probe):
    def rcpt(self, recipient):
        reply = Server.rcpt(self, recipient)
        return reply.replace(b"550 5.7.1", b"450 4.7.1")

    status, found = probe(serve(rcpt=rcpt))
    assert status == 1
    assert "probe-unjudged" in found and "probe-closed" not in found
    assert "put off" in found["probe-unjudged"]


def test_refused_for_another_reason(serve, probe):
    """A server that refuses the domain says nothing of relaying."""
    def rcpt(self, recipient):
        if b"lab.test" in recipient or b"other.test" in recipient:
            return Server.rcpt(self, recipient)
        return b"550 5.1.10 domain does not accept mail (nullMX)\r\n"

    status, found = probe(serve(rcpt=rcpt))
    assert status == 1 and "--foreign" in found["probe-unjudged"]


def test_client_refused_altogether(serve, probe):
    def rcpt(self, recipient):
        return b"554 5.7.1 Client host rejected: Access denied\r\n"

    status, found = probe(serve(rcpt=rcpt))
    assert status == 1
    assert "probe-unjudged" in found and "probe-closed" not in found


def test_sender_refused_is_no_verdict(serve, probe):
    """The foreign sender is refused for itself; the null sender is let in."""
    def answer(self, verb, argument):
        if verb == "MAIL" and self.sender != "":
            return b"553 5.1.8 Domain of sender address does not exist\r\n"
        if verb == "RCPT":
            return b"250 ok\r\n"
        return b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n"

    status, found = probe(serve(answer))
    assert status == 2 and "probe-open-relay" in found


def test_error_limit(serve, probe):
    """Postfix hangs up at 20 errors: the probe comes back in time."""
    def answer(self, verb, argument):
        reply = Server.answer(self, verb, argument)
        self.errors += reply.startswith(b"5")
        if self.errors >= 10:
            self.hung_up = True
            return None
        return reply

    server = serve(answer)
    status, found = probe(server)
    assert set(found) == {"probe-closed"}
    assert not hasattr(server, "hung_up") and server.sessions > 20


def test_hangs_up_at_a_form(serve, probe):
    """A server that drops dead at one form has not answered it."""
    def answer(self, verb, argument):
        if verb == "RCPT" and b"!" in argument:
            return None
        return Server.answer(self, verb, argument)

    status, found = probe(serve(answer))
    assert status == 1 and "probe-closed" not in found


HOSTILE = {
    "421": b"421 4.7.0 too many connections\r\n",
    "554": b"554 5.7.1 blocked by list\r\n",
    "silence": b"",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "binary": bytes(range(256)) * 20,
    "long line": b"220 " + b"x" * 100000,
    "endless lines": b"220-hello\r\n" * 100000,
    "drip": None,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_greeting(serve, probe, kind):
    server = serve(greeting=HOSTILE[kind] or b"220-", talk=drip
                   if kind == "drip" else Server.talk)
    status, found = probe(server, timeout="1s")
    assert status == 1
    assert set(found) == {"probe-unjudged"}


def drip(self, connection):
    """A byte now and then: each alone comes in time."""
    while True:
        connection.sendall(b"220-x\r\n")
        time.sleep(0.3)


def test_nothing_reaches_the_terminal(serve, probe):
    evil = b"\x1b]0;owned\x07\x1b[31m\x9b31m\xe2\x80\xae"

    def rcpt(self, recipient):
        return b"250 2.1.5 " + evil + b"\r\n"

    server = serve(rcpt=rcpt, greeting=b"220 " + evil + b"\r\n")
    done = probe(server, text=True)
    assert done.returncode == 2
    for byte in (b"\x1b", b"\x07", b"\x9b", b"\xe2\x80\xae", b"\x00"):
        assert byte not in done.stdout + done.stderr
    # and a name that isn't one is never said
    assert not any(b"\x1b" in c for c in server.commands)


@pytest.mark.parametrize("options, words", [
    (["--foreign", "lab.test"], "none of ours"),
    (["--foreign", "a b"], "must be a domain"),
    (["--source", "nonsense"], "nonsense"),
    (["--timeout", "soon"], "soon"),
])
def test_bad_options(serve, tmp_path, options, words):
    server = serve()
    config = tmp_path / "popgate.conf"
    config.write_text(CONFIG.format(tmp_path))
    done = subprocess.run(
        [BUILD / "popgatectl", "-c", config, "doctor", "--probe", "--host",
         f"127.0.0.1:{server.port}", *options], capture_output=True,
        text=True)
    assert done.returncode == 64 and words in done.stderr
    assert not server.commands


def test_nobody_there(tmp_path):
    config = tmp_path / "popgate.conf"
    config.write_text(CONFIG.format(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = subprocess.run(
        [BUILD / "popgatectl", "-c", config, "doctor", "--probe", "--host",
         f"127.0.0.1:{port}"], capture_output=True, text=True)
    assert done.returncode == 1 and "could be asked" in done.stdout
