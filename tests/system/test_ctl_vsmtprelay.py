# SPDX-License-Identifier: ISC
"""vsmtprelay, the language that POP-before-SMTP scripts spoke."""
import subprocess
import time

import pytest

from lab.box import EX_USAGE, lines, makemap


def run_makemap(*args, **kw):
    done = subprocess.run([makemap(), "-C", "/dev/null", *args],
                          capture_output=True, text=True, **kw)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_vsmtprelay_language(box):
    now = int(time.time())
    usage = box.run(program="vsmtprelay", code=EX_USAGE).stderr
    for verb in ("add ip [ticks]", "delete ip [...]", "expire [n]",
                 "list [n]", "dump"):
        assert "vsmtprelay " + verb in usage
    assert box.vsm("add", "10.11.12.13", str(now - 7200)) == ""
    assert box.vsm("add", "10.11.12.14", str(now - 60)) == ""
    assert box.vsm("add", "10.11.12.15", str(now + 86400)) == ""
    assert box.vsm("add", "10.11.12.16") == ""
    listed = [line.split("\t") for line in lines(box.vsm("list"))]
    assert [row[0] for row in listed] == [
        "10.11.12.13", "10.11.12.14", "10.11.12.16"]
    assert listed[0][1] == str(now - 7200)
    assert abs(int(listed[2][1]) - now) < 30
    dumped = lines(box.vsm("dump"))
    assert f"10.11.12.15\t{now + 86400}" in dumped and len(dumped) == 4
    assert box.out("dump") == box.vsm("dump")
    assert lines(box.vsm("list", "60")) == [f"10.11.12.13\t{now - 7200}"]
    assert box.vsm("expire", "60") == ""
    assert "10.11.12.13" not in box.vsm("dump")
    assert box.vsm("delete", "10.11.12.14", "10.11.12.99") == ""
    assert box.vsm("expire") == ""
    assert lines(box.vsm("dump")) == [f"10.11.12.15\t{now + 86400}"]
    # the nightly crontab line
    assert box.vsm("expire", "1440") == ""


@pytest.mark.parametrize("args", [
    [], ["add"], ["add", "1.2.3.4", "5", "6"], ["delete"],
    ["list", "1", "2"], ["dump", "1"], ["help"], ["frobnicate"]])
def test_vsmtprelay_usage(box, args):
    done = box.run(*args, program="vsmtprelay", code=EX_USAGE)
    assert done.stderr.startswith("usage: vsmtprelay add ip [ticks]")


def test_vsmtprelay_bad_words(box):
    for args in (["add", "10.0.0"], ["add", "10.0.0.1", "x"],
                 ["list", "-1"], ["expire", "1h"]):
        box.err(*args, program="vsmtprelay", code=EX_USAGE)


def test_vsmtprelay_one_line_for_a_client(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560),
                     ("192.0.2.1", "bob", -100, 1700)])
    out = lines(box.vsm("list"))
    assert len(out) == 1
    assert abs(int(out[0].split("\t")[1]) - time.time() + 100) < 30


def test_dump_is_read_by_makemap(box):
    now = int(time.time())
    box.vsm("add", "10.11.12.13", str(now))
    db = box.path / "relayers.db"
    run_makemap("hash", db, input=box.vsm("dump"))
    assert run_makemap("-u", "hash", db) == f"10.11.12.13\t{now}\n"
