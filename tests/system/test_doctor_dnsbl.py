# SPDX-License-Identifier: ISC
"""doctor --dnsbl: a real DNS server (dnsmasq) on loopback, and one that lies,
garbles and stays silent."""
import json
import os
import sqlite3
import socket
import struct
import subprocess
import threading
import time

import pytest

from lab import namespace
from lab.process import Process, need
from lab.site import BUILD, TOP, free_addresses

CONFIG = """\
logins: {{ database = "{0}/logins.db"; }};
audit: {{ database = "{0}/audit.db"; }};
relay: {{ local_domains = [ "lab.test" ]; }};
"""
NIBBLES = ".".join(reversed("2a00" + "0" * 27 + "1"))
REASON = "listed for backscatter, see the web page"
LONG = [f"{i} " + "x" * 200 for i in range(4)]      # needs TCP
ZONES = f"""\
no-resolv
no-hosts
bind-interfaces
listen-address=127.0.0.1
local=/good.test/
address=/2.0.0.127.good.test/127.0.0.2
address=/7.0.0.11.good.test/127.0.0.4
txt-record=7.0.0.11.good.test,"{REASON}"
address=/2.0.0.0.0.0.f.7.f.f.f.f.{'0.' * 20}good.test/127.0.0.2
address=/{NIBBLES}.good.test/127.0.0.3
local=/large.test/
address=/2.0.0.127.large.test/127.0.0.2
address=/7.0.0.11.large.test/127.0.0.4
txt-record=7.0.0.11.large.test,"{'","'.join(LONG)}"
address=/all.test/127.0.0.2
address=/sold.test/198.51.100.80
address=/refused.test/127.255.255.254
local=/empty.test/
local=/v4only.test/
address=/2.0.0.127.v4only.test/127.0.0.2
"""


@pytest.fixture(scope="module")
def dnsmasq(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dnsmasq")
    (_, port), = free_addresses("127.0.0.1", 1)
    config = directory / "dnsmasq.conf"
    config.write_text(ZONES)
    process = Process("dnsmasq", [
        need("/usr/sbin/dnsmasq", "dnsmasq-base"), "-k", "-C", config,
        "-p", port, "-u", "root", "--pid-file="], directory).start()
    process.accepts(("127.0.0.1", port))
    yield f"127.0.0.1:{port}"
    process.stop()


@pytest.fixture
def dnsbl(tmp_path):
    def run(resolver, *options, text=False, timeout="20s"):
        config = tmp_path / "popgate.conf"
        config.write_text(CONFIG.format(tmp_path))
        done = subprocess.run(
            [need(BUILD / "popgatectl", "nothing: run make"), "-c", config,
             "doctor", "--dnsbl", *(["--resolver", resolver] if resolver
                                    else []),
             "--timeout", timeout, *([] if text else ["--json"]), *options],
            capture_output=True, timeout=300)
        if text:
            return done
        assert done.returncode < 3, done
        found = {f["id"]: f["detail"]
                 for f in json.loads(done.stdout)["findings"]}
        return done.returncode, {name: detail for name, detail in
                                 found.items() if name.startswith("dnsbl-")}
    return run


def test_system_resolver(dnsbl):
    """Without --resolver those of resolv.conf are asked. (First in this file:
    to leave a name space ends all that was started, dnsmasq below too.)"""
    space = namespace.Namespace("mail.lab.test")
    space.enter()
    try:
        namespace.mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")
        resolv = "/run/resolv.conf"
        with open(resolv, "w") as out:
            out.write("nameserver 127.0.0.1\n")
        namespace.bind(resolv, os.path.realpath("/etc/resolv.conf"))
        with open("/run/dnsmasq.conf", "w") as out:
            out.write(ZONES)
        process = Process("dnsmasq53", [
            "/usr/sbin/dnsmasq", "-k", "-C", "/run/dnsmasq.conf", "-u",
            "root", "--pid-file="], "/run").start()
        process.accepts(("127.0.0.1", 53))
        status, found = dnsbl(None, "--address", "11.0.0.7", "good.test")
        assert REASON in found["dnsbl-listed"]
        # and the addresses are those of the interfaces, if public
        status, found = dnsbl(None, "good.test")
        assert "dnsbl-no-address" in found
        space.address("11.0.0.7")
        space.address("10.0.0.7")
        status, found = dnsbl(None, "good.test")
        assert found["dnsbl-listed"].startswith("11.0.0.7 ")
        process.stop()
    finally:
        space.leave()


def test_listed(dnsmasq, dnsbl):
    status, found = dnsbl(dnsmasq, "--address", "11.0.0.7", "good.test")
    assert status == 1
    assert found["dnsbl-listed"] == \
        f"11.0.0.7 is on good.test (127.0.0.4): {REASON}"
    # nothing is known of the causes without a record, and that is said
    assert "dnsbl-cause-unknown" in found


def test_not_listed(dnsmasq, dnsbl):
    status, found = dnsbl(dnsmasq, "--address", "11.0.0.8", "good.test",
                          "v4only.test")
    assert list(found) == ["dnsbl-clear"] and status == 0


def test_ipv6(dnsmasq, dnsbl):
    status, found = dnsbl(dnsmasq, "--address", "2a00::1", "good.test")
    assert status == 1 and "127.0.0.3" in found["dnsbl-listed"]
    status, found = dnsbl(dnsmasq, "--address", "2a00::2", "good.test")
    assert status == 0 and "dnsbl-clear" in found
    # a list without IPv6 says nothing of it, good or bad
    status, found = dnsbl(dnsmasq, "--address", "2a00::2", "v4only.test")
    assert status == 0 and not found


@pytest.mark.parametrize("name, finding, words", [
    ("refused.test", "dnsbl-refused", "public resolvers"),
    ("all.test", "dnsbl-not-working", "lists everything"),
    ("sold.test", "dnsbl-not-working", "outside 127"),
    ("empty.test", "dnsbl-not-working", "127.0.0.2"),
    # dnsmasq has nobody to ask for it: REFUSED
    ("elsewhere.test", "dnsbl-failed", "no answer"),
])
def test_no_answer_is_no_listing(dnsmasq, dnsbl, name, finding, words):
    status, found = dnsbl(dnsmasq, "--address", "11.0.0.7", name)
    assert status == 1 and list(found) == [finding]
    assert words in found[finding]


def test_one_bad_list_hides_no_other(dnsmasq, dnsbl):
    status, found = dnsbl(dnsmasq, "--address", "11.0.0.7,11.0.0.8",
                          "refused.test", "elsewhere.test", "good.test")
    assert {"dnsbl-refused", "dnsbl-failed", "dnsbl-listed"} <= set(found)
    assert "dnsbl-clear" not in found


def test_truncated(dnsmasq, dnsbl):
    """A text that is too long for UDP comes by TCP."""
    status, found = dnsbl(dnsmasq, "--address", "11.0.0.7", "large.test")
    assert status == 1
    assert found["dnsbl-listed"].startswith(
        "11.0.0.7 is on large.test (127.0.0.4): 0 xxx")
    assert len(found["dnsbl-listed"]) > 400


# --- a server that lies ---

class Liar(threading.Thread):
    """Answers by UDP and TCP as reply(question, name, type, tcp) says."""

    def __init__(self, reply):
        super().__init__(daemon=True)
        self.reply = reply
        self.tcp = None
        while self.tcp is None:     # one port for both, that nobody else has
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            try:
                self.tcp = socket.create_server(("127.0.0.1", self.port))
            except OSError:
                self.udp.close()
        self.start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def run(self):
        while True:
            try:
                question, client = self.udp.recvfrom(4096)
            except OSError:
                return
            for packet in self.answer(question, False):
                self.udp.sendto(packet, client)

    def serve_tcp(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    size = struct.unpack(">H", connection.recv(2))[0]
                    for packet in self.answer(connection.recv(size), True):
                        connection.sendall(struct.pack(">H", len(packet)) +
                                           packet)
                except (OSError, struct.error):
                    pass

    def answer(self, question, tcp):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += question[at] + 1
        kind = struct.unpack(">H", question[at + 1:at + 3])[0]
        self.question = question[12:at + 5]
        got = self.reply(question[:2], ".".join(labels), kind, tcp)
        return got if isinstance(got, list) else [got] if got else []

    def packet(self, ident, records=(), code=0, flags=0x8180, kind=1):
        body = b"".join(b"\xc0\x0c" + struct.pack(
            ">HHIH", kind, 1, 60, len(data)) + data for data in records)
        return ident + struct.pack(">HHHHH", flags | code, 1, len(records),
                                   0, 0) + self.question + body

    def close(self):
        self.udp.close()
        self.tcp.close()


LISTED = b"\x7f\0\0\2"
EVIL = b"\x1b]0;owned\x07\x1b[31m\x9b31m\xe2\x80\xae\0\r\nforged line"


def well(liar, ident, name, kind):
    """A list that works, and has 11.0.0.7 on it."""
    if name.startswith("1.0.0.127."):
        return liar.packet(ident, code=3)
    if kind == 16:
        return liar.packet(ident, [bytes([len(EVIL)]) + EVIL], kind=16)
    return liar.packet(ident, [LISTED])


def lies():
    """name: what the server does, the finding that must come of it."""
    def table(liar, ident, name, kind, tcp):
        return {
            "servfail": lambda: liar.packet(ident, code=2),
            "refused": lambda: liar.packet(ident, code=5),
            "silent": lambda: None,
            "garbage": lambda: ident + os.urandom(200),
            "short": lambda: ident + b"\x81",
            # another question's answer: spoofed
            "wrong-id": lambda: liar.packet(b"\0\0", [LISTED]),
            "always-truncated": lambda: liar.packet(ident, flags=0x8380),
            "loop": lambda: ident + struct.pack(
                ">HHHHH", 0x8180, 1, 1, 0, 0) + liar.question +
            b"\xc0" + bytes([12 + len(liar.question)]) +
            struct.pack(">HHIH", 1, 1, 60, 4) + LISTED,
            "many": lambda: liar.packet(ident, [LISTED] * 400)
            if tcp else liar.packet(ident, flags=0x8380),
            "bad-length": lambda: liar.packet(ident, [LISTED])[:-2],
        }[name.split(".")[-2]]()
    return table


@pytest.fixture
def liar():
    servers = []

    def start(reply):
        server = Liar(lambda *arguments: reply(servers[0], *arguments))
        servers.append(server)
        return f"127.0.0.1:{server.port}"
    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("kind", [
    "servfail", "refused", "silent", "garbage", "short", "wrong-id",
    "always-truncated", "loop", "bad-length"])
def test_no_answer(liar, dnsbl, kind):
    resolver = liar(lies())
    status, found = dnsbl(resolver, "--address", "11.0.0.7",
                          f"{kind}.test", timeout="1s")
    assert status == 1
    assert set(found) <= {"dnsbl-failed", "dnsbl-not-working"} and found


def test_many_answers(liar, dnsbl):
    status, found = dnsbl(liar(lies()), "--address", "11.0.0.7",
                          "many.test")
    assert status == 1 and "dnsbl-not-working" in found


def test_hostile_text(liar, dnsbl):
    resolver = liar(lambda server, ident, name, kind, tcp: well(
        server, ident, name, kind))
    done = dnsbl(resolver, "--address", "11.0.0.7", "evil.test", text=True)
    assert done.returncode == 1 and b"is on evil.test" in done.stdout
    for byte in (b"\x1b", b"\x07", b"\x9b", b"\xe2\x80\xae", b"\x00", b"\r"):
        assert byte not in done.stdout
    assert not any(line.startswith(b"forged")
                   for line in done.stdout.splitlines())


def test_text_fails(liar, dnsbl):
    """A listing stands without its reason."""
    def reply(server, ident, name, kind, tcp):
        if kind == 16:
            return server.packet(ident, code=2)
        return well(server, ident, name, kind)

    status, found = dnsbl(liar(reply), "--address", "11.0.0.7", "x.test")
    assert status == 1 and "no reason" in found["dnsbl-listed"]


# --- causes of backscatter ---

def test_null_senders_relayed(dnsmasq, dnsbl, tmp_path):
    audit = sqlite3.connect(tmp_path / "audit.db")
    for step in sorted((TOP / "sql").glob("audit-*.sql")):
        audit.executescript(step.read_text())
    audit.execute(f"PRAGMA user_version = "
                  f"{len(list((TOP / 'sql').glob('audit-*.sql')))}")
    audit.execute("PRAGMA journal_mode = WAL")
    for sender in ("", "a@lab.test"):
        audit.execute(
            "INSERT INTO channel_decision (at, session, client, client_name, helo, "
            "sender, recipient, class, verdict, reason, rule, channel, mta) "
            "VALUES (?, 's', '203.0.113.9', '', '', ?, '<v@r.test>', "
            "'relay', 'accept', 'recent-login', 10, 'milter', '')",
            (int(time.time() * 1000), sender))
    audit.commit()
    try:
        status, found = dnsbl(dnsmasq, "--address", "11.0.0.7", "good.test")
    finally:
        audit.close()
    assert "1 recipients" in found["dnsbl-cause-null-sender"]
    assert "203.0.113.9" in found["dnsbl-cause-null-sender"]


def test_postfix_causes(dnsmasq, dnsbl, tmp_path):
    etc = tmp_path / "postfix"
    etc.mkdir()
    (tmp_path / "aliases").write_text(
        "# vacation: |no\npostmaster: root\n"
        'holiday: "|/usr/bin/vacation bob"\n')
    (etc / "main.cf").write_text(
        "compatibility_level = 3.6\nmydestination = lab.test\n"
        "local_recipient_maps =\nrelay_domains = inner.test\n"
        f"alias_maps = texthash:{tmp_path}/aliases\n")
    (etc / "master.cf").write_text("smtp inet n - n - - smtpd\n")
    done = dnsbl(dnsmasq, "--mta", "postfix", "--config-dir", str(etc),
                 "--address", "11.0.0.7", "good.test", text=True)
    text = done.stdout.decode()
    assert text.count("dnsbl-cause-bounce") == 2
    assert f"dnsbl-cause-bounce  {etc}/main.cf:3" in text
    assert f"dnsbl-cause-responder  {tmp_path}/aliases:3" in text


@pytest.mark.parametrize("options, words", [
    ([], "name the lists"),
    (["nonsense"], "not the domain"),
    (["a b.test"], "not the domain"),
    (["--address", "mail.lab.test", "good.test"], "mail.lab.test"),
    (["--timeout", "1h", "good.test"], "--timeout"),
    (["--resolver", "ns.lab.test", "good.test"], "name server"),
    (["--resolver", "127.0.0.1,127.0.0.2", "good.test"], "name server"),
])
def test_bad_options(dnsbl, options, words):
    done = dnsbl(None, *options, text=True)
    assert done.returncode == 64 and words in done.stderr.decode()
