# SPDX-License-Identifier: ISC
"""popgatectl replay: what a log would have let in."""
import bz2
import lzma
import os
import re
import subprocess

import pytest

from lab.box import MILTER, EX_USAGE, EX_NOINPUT, EX_IOERR, lines


LOG = [
    ("Mar  3 08:00:17 mail dovecot: imap-login: Login: user=<alice>, "
     "method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=20010, TLS, "
     "session=<xMUQZmKXTR83p5d1>", "login\talice\t192.0.2.10"),
    ("Mar  3 08:00:17 mail dovecot: imap-login: Login: user=<alice>, "
     "method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=20010, "
     "session=<xMUQZmKXTR83p5d1>", "ignore\t-\t-"),
    ("", "ignore\t-\t-"),
    ("x" * 20000, "ignore\t-\t-"),
    ("\x00\xff rubbish", "ignore\t-\t-"),
]


@pytest.mark.parametrize("end", ["\n", ""])
def test_replay_each(box, end):
    text = "\n".join(line for line, _ in LOG) + end
    got = lines(box.out("replay", "--each", "-", input=text))
    assert got == [want for _, want in LOG]
    reasons = [line.split("\t")[3] for line in lines(
        box.out("replay", "--each", "--reason", "-", input=text))]
    assert reasons[:2] == ["login", "never-authorize"]
    assert not os.path.exists(box.logins)
    assert box.out("replay", "--each", "-", input="") == ""


def test_replay_of_nginx_own_file(box):
    """The collector takes no login from it; --each shows the grammar."""
    line = ('2026/03/03 09:20:00 [info] 1402#0: *31 client logged in, '
            'client: 192.0.2.128, server: 0.0.0.0:993, login: "vito"\n')
    assert box.out("replay", "--each", "-", input=line) == \
        "login\tvito\t192.0.2.128\n"
    summary = box.out("replay", "-", input=line)
    assert "1 lines, 0 logins" in summary
    assert summary.splitlines()[1].split() == ["nginx", "forgeable-file", "1"]


def test_replay_file_gzip_and_summary(box):
    with open(box.log, "w") as log:
        log.write((LOG[0][0] + "\n") * 1000)
    plain = box.out("replay", box.log)
    assert "1000 lines, 1000 logins" in plain
    packed = box.path / "mail.log.packed"
    for packer in bz2, lzma:
        with packer.open(packed, "wt") as out:
            out.write((LOG[0][0] + "\n") * 1000)
        assert "1000 lines, 1000 logins" in box.out("replay", packed)
    with packed.open("r+b") as damaged:
        damaged.truncate(200)
    box.err("replay", packed, code=EX_IOERR)
    subprocess.run(["gzip", box.log], check=True)
    assert "1000 lines, 1000 logins" in box.out("replay", f"{box.log}.gz")
    box.err("replay", box.log, code=EX_NOINPUT)
    box.err("replay", "--servers", "nosuch", "-", code=EX_USAGE)


def test_what_postfix_does_not_tell_a_socketmap(box):
    note = "relay.certificates: Postfix doesn't tell a socketmap"

    def notes():
        milter = subprocess.run(
            [MILTER, "-t", "-c", box.conf], capture_output=True, text=True,
            timeout=60)
        assert milter.returncode == 0, milter
        said = box.run("check-config").stderr
        assert (note in said) == (note in milter.stderr), (said, milter)
        return said

    box.configure(relay='certificates = ( { subject = "s"; issuer = "i"; } );')
    assert note not in notes()              # permit.policy is told
    assert "certificates" not in box.run("wiring", "postfix").stderr
    assert note in box.run("wiring", "postfix", "--socketmap").stderr
    text = open(box.conf).read()
    with open(box.conf, "w") as out:
        out.write(re.sub(r'policy = "[^"]*"', 'policy = ""', text))
    assert note in notes()
    assert note in box.run("wiring", "postfix").stderr
    assert "certificates" not in box.run("wiring", "sendmail").stderr
    box.configure(relay="")
    assert note not in notes()
