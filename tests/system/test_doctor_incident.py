# SPDX-License-Identifier: ISC
"""doctor --incident on logs that are large, hostile, or not there."""
import json
import resource
import sqlite3
import subprocess
import time

import pytest

from lab.process import need
from lab.site import BUILD, TOP

CONFIG = """\
logins: {{ database = "{0}/logins.db"; }};
audit: {{ database = "{0}/audit.db"; }};
relay: {{ local_domains = [ "lab.test" ]; }};
collector: {{ sources = ( {{ {1} }} ); }};
"""


@pytest.fixture
def incident(tmp_path):
    def run(log, *options, source=None, text=False, memory=None, stdin=None):
        config = tmp_path / "popgate.conf"
        config.write_text(CONFIG.format(
            tmp_path, source or f'file = "{tmp_path}/mail.log";'))

        def limit():
            if memory:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        return subprocess.run(
            [need(BUILD / "popgatectl", "nothing: run make"), "-c", config,
             "doctor", "--incident", *(["--log", log] if log else []),
             *([] if text else ["--json"]), *options],
            capture_output=True, preexec_fn=limit, input=stdin)
    return run


def stamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at))


def message(i, at, client="203.0.113.1", sender="a@y.test",
            recipient="v@remote.test", removed=True):
    when = stamp(at)
    lines = [f"smtpd[{i % 999}]: A{i:07X}: client=unknown[{client}]",
             f"qmgr[2]: A{i:07X}: from=<{sender}>, size=1, nrcpt=1 "
             "(queue active)",
             f"smtp[3]: A{i:07X}: to=<{recipient}>, relay=h[192.0.2.1]:25, "
             "delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)"]
    if removed:
        lines.append(f"qmgr[2]: A{i:07X}: removed")
    return "".join(f"{when} mx postfix/{line}\n" for line in lines)


def test_a_million_lines(incident, tmp_path):
    """Of 30,000 clients; in the memory of a small machine."""
    log = tmp_path / "mail.log"
    now = time.time()
    with open(log, "w") as out:
        for i in range(250000):
            out.write(message(i, now - 1000,
                              client=f"2001:db8::{i % 30000:x}",
                              sender=f"k{i}@y.test"))
    done = incident(log, memory=400 << 20)
    assert done.returncode == 1, done.stderr        # no record: untold
    report = json.loads(done.stdout)
    assert report["lines"] == 1000000
    assert report["messages"] == 250000
    assert report["forgotten"] == 0
    assert sum(g["messages"] for g in report["groups"]) + \
        report["ungrouped"] == 250000


def test_hostile_lines(incident, tmp_path):
    """Control characters, fields played in every text, lines of any kind:
    counted as what they are, and harmless on a terminal and in a shell."""
    log = tmp_path / "mail.log"
    now = time.time() - 10
    evil = "\x1b]0;owned\x07\x1b[31m\u202e"
    with open(log, "wb") as out:
        for i in range(12):
            out.write(message(
                i, now, sender=f"{evil}$(reboot)`x`;'{i}@y.test",
                recipient=f"\"b>, relay=x, status=bounced\"{i}@r.test"
            ).encode())
        out.write(b"\x00" * 5000 + b"\n" + b"x" * 100000 + b"\n")
        out.write(bytes(range(256)) + b"\n")
        # another program plays Postfix: a user's logger(1)
        out.write(message(99, now, client="198.51.100.1").replace(
            "postfix/", "evil[1]: postfix/").encode())
    done = incident(log, text=True)
    assert done.returncode == 1
    for byte in (b"\x1b", b"\x07", b"\xe2\x80\xae", b"\x00"):
        assert byte not in done.stdout
    assert b"198.51.100.1" not in done.stdout
    report = json.loads(incident(log).stdout)
    assert report["messages"] == 12
    steps = "\n".join(report["steps"])
    assert "reboot" not in steps and "`" not in steps


def test_standard_input(incident):
    text = "".join(message(i, time.time() - 60) for i in range(3))
    done = incident("-", stdin=text.encode())
    report = json.loads(done.stdout)
    assert report["messages"] == 3
    group, = report["groups"]
    assert group["right"] == "untold"


def test_queue(incident, tmp_path):
    log = tmp_path / "mail.log"
    log.write_text("".join(message(i, time.time() - 60, removed=i > 1)
                           for i in range(5)))
    group, = json.loads(incident(None).stdout)["groups"]
    assert (group["messages"], group["queued"], group["recent"]) == (5, 2, 5)


@pytest.mark.parametrize("log, content, status, words", [
    ("/nonexistent/mail.log", None, 66, "no such log"),
    (None, None, 66, "no such log"),
    (None, "nothing of a mail server\n", 65, "none of Postfix, Sendmail or Exim"),
])
def test_no_log(incident, tmp_path, log, content, status, words):
    if content:
        (tmp_path / "mail.log").write_text(content)
    done = incident(log)
    assert done.returncode == status and words in done.stderr.decode()


def test_bounces(incident, tmp_path):
    """Notifications to forged senders, many more than in the days before."""
    log = tmp_path / "mail.log"
    now = time.time() - 60
    text = message(0, now - 3 * 86400)
    for i in range(1, 601):
        arrival, rest = message(i, now, recipient=f"v@r{i}.test").split(
            "\n", 1)
        text += arrival.replace(f"smtpd[{i % 999}]: A{i:07X}: client=unknown"
                                "[203.0.113.1]", f"bounce[4]: F{i:07X}: sender"
                                f" non-delivery notification: A{i:07X}")
        text += "\n" + rest.replace("from=<a@y.test>", "from=<>")
    log.write_text(text)
    done = incident(log)
    report = json.loads(done.stdout)
    group, = report["groups"]
    assert done.returncode == 1
    assert (group["right"], group["suspicious"]) == ("bounce", True)
    assert "refuse what it can't deliver" in report["steps"][0]


def test_a_log_that_ended(incident, tmp_path):
    """Lines of last week alone don't say that nothing left today."""
    (tmp_path / "mail.log").write_text("")
    (tmp_path / "mail.log.1").write_text(message(1, time.time() - 2 * 86400))
    done = incident(None, text=True)
    assert done.returncode == 1
    assert b"nothing can be said" in done.stdout
    assert b"Nothing alarming" not in done.stdout


def test_journal(incident, tmp_path, monkeypatch):
    """The journal alone is read by journalctl(1), asked for the mail facility
    and no longer than needed; its own error is told."""
    bin_ = tmp_path / "bin"
    bin_.mkdir(mode=0o755)
    text = tmp_path / "text"
    text.write_text("".join(message(i, time.time() - 60) for i in range(3)))
    program = bin_ / "journalctl"
    program.write_text(f"#!/bin/sh\necho \"$*\" >{tmp_path}/asked\n"
                       f"exec cat {text}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")
    report = json.loads(incident(None, source='journal = "system";').stdout)
    assert report["messages"] == 3
    asked = (tmp_path / "asked").read_text()
    assert "SYSLOG_FACILITY=2" in asked and "--since=@" in asked
    text.unlink()
    done = incident(None, source='journal = "system";')
    assert done.returncode == 74 and "journalctl" in done.stderr.decode()


def test_no_source_is_a_log(incident):
    done = incident(None, source="stdin = true;")
    assert done.returncode == 66
    assert "journalctl" in done.stderr.decode()


def make_audit(path):
    steps = sorted((TOP / "sql").glob("audit-0*.sql"))
    with sqlite3.connect(path) as db:
        for step in steps:
            db.executescript(step.read_text())
        db.execute(f"PRAGMA user_version = {len(steps)}")


def test_breaches(incident, tmp_path):
    """A breach that popgate stopped is told, even where the log shows
    nothing."""
    log = tmp_path / "mail.log"
    log.write_text(message(1, time.time() - 60, client="127.0.0.1"))
    assert json.loads(incident(log).stdout)["breaches"] == []
    now = int(time.time())
    make_audit(tmp_path / "audit.db")
    with sqlite3.connect(tmp_path / "audit.db") as db:
        for i in range(25):
            db.execute(
                "INSERT INTO breach (at, kind, subject, setting, allowed,"
                " client, sender, denied_until) VALUES (?, 'user', ?,"
                " 'user_recipients', '1000/1h', '203.0.113.9', 'x@y.test', ?)",
                ((now - 500 + i) * 1000, f"user{i % 22}", now + 3600))
        db.execute(
            "INSERT INTO breach (at, kind, subject, setting, allowed,"
            " client, sender, denied_until) VALUES (?, 'user', 'long-ago',"
            " 'user_recipients', '1000/1h', '203.0.113.9', 'x@y.test', 0)",
            ((now - 90000) * 1000,))
    done = incident(log)
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert len(report["breaches"]) == 20
    assert report["breaches"][-1]["subject"] == "user2"
    assert "long-ago" not in done.stdout.decode()
    assert "popgatectl deny --user user2 " in "\n".join(report["steps"])
    text = incident(log, text=True).stdout.decode()
    assert "user user2, limits.user_recipients = 1000/1h" in text
    assert "and others before" in text


def test_bad_since(incident):
    done = incident("/dev/null", "--since", "the flood")
    assert done.returncode == 64
