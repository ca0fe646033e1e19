# SPDX-License-Identifier: ISC
"""popgatectl's language; and tables that are missing, foreign, locked, rubbish
or not to be read by whoever asks."""
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

from lab.box import (
    CTL, EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_NOPERM, EX_CONFIG,
    EX_TEMPFAIL, CtlBox)
from lab.proc import opened
from lab.process import PATIENCE, wait_for


def test_version_help_and_usage(box):
    assert re.match(r"popgatectl \d+\.\d+", box.out("--version"))
    usage = box.out("--help")
    assert box.out("help") == usage
    for name in re.findall(r"^  ([a-z-]+)  ", usage, re.M):
        if name.startswith("-"):
            continue
        text = box.out("help", name)
        assert text.startswith("usage: popgatectl [-c FILE] " + name)
        if name not in ("help",):
            assert box.out(name, "--help") == text
    assert "usage:" in box.run(code=EX_USAGE).stderr


@pytest.mark.parametrize("typed,meant", [
    ("lst", "list"), ("remove", "delete"), ("dcisions", "decisions"),
    ("blok", "deny"), ("sttaus", "status"), ("lsit", "list"), ("chek-config", "check-config")])
def test_unknown_subcommand_suggests(box, typed, meant):
    assert f"did you mean '{meant}'?" in box.err(typed, code=EX_USAGE)


def test_unknown_subcommand_far_from_all(box):
    assert "see 'popgatectl help'" in box.err("xyzzyxyzzy", code=EX_USAGE)


@pytest.mark.parametrize("args,words", [
    (["add", "10.0.0"], "add: '10.0.0' is not an IP address or network"),
    (["add", "10.0.0.1/8"], "did you mean 10.0.0.0/8?"),
    (["add", "10.0.0.0/33"], "is not an IP address or network"),
    (["add", "0.0.0.0/0"], "open relay"),
    (["add", "::/0"], "open relay"),
    (["add", "192.0.2.1", "--for", "soon"], "is not a duration"),
    (["add", "192.0.2.1", "--for", "0s"], "'0s' is out of range: expected 1s"),
    (["deny", "192.0.2.1", "--for", "0"], "'0' is out of range: expected 1s"),
    (["deny", "192.0.2.1", "--until", "now"], "'now' is in the past"),
    (["import", "--for", "0m", "-"], "'0m' is out of range: expected 1s"),
    (["import", "--until", "2001-01-01", "-"], "in the past"),
    (["import", "--for", "1h", "--forever", "-"], "exclude"),
    (["doctor", "--probe", "--timeout", "0s"], "expected 1s to 10m"),
    (["doctor", "--dnsbl", "--timeout", "2h", "dnsbl.test"], "expected 1s to"),
    (["add", "192.0.2.1", "--until", "2026-02-31"], "is not a time"),
    (["add", "192.0.2.1", "--until", "2001-01-01"], "in the past"),
    (["add", "192.0.2.1", "--for", "1h", "--forever"], "exclude"),
    (["add", "192.0.2.1", "12x"], "is not a number"),
    (["add", "192.0.2.1", "--colour"], "no option '--colour'"),
    (["add", "192.0.2.1", "--user"], "needs USER"),
    (["add", "192.0.2.1", "--forever=1"], "takes no value"),
    (["add"], "usage: popgatectl add"),
    (["list", "--sort", "size"], "can't sort by"),
    (["check", "--to", "a@b.test"], "--client and --to are needed"),
    (["decisions", "--since", "2h", "--until", "3h"], "is not before"),
    (["stats", "--since", "2h", "--until", "2h"], "is not before"),
    (["top", "--until", "2d"], "is not before"),
    (["setup", "--answer", "foo=bar"], "no such question: expected"),
    (["setup", "--answer", "trial"], "expected key=value"),
    (["check", "--client", "x", "--to", "a@b.test"], "is not an IP address"),
    (["decisions", "--verdict", "ok"], "not a verdict"),
    (["decisions", "--reason", "ok"], "not a reason"),
    (["decisions", "--since", "yesterday"], "is not a time"),
    (["decisions", "--csv", "--json"], "exclude"),
    (["stats", "--by", "week"], "nothing to count by"),
    (["wiring", "qmail"], "expected postfix, sendmail"),
    (["replay", "--reason", "-"], "--reason goes with --each"),
    (["completion", "fish"], "expected bash or zsh"),
    (["export", "--format", "cdb"], "is no format"),
    (["deny", "10.0.0"], "is not an IP address or network"),
    (["list", "\x1b[2J"], "\\x1b[2J"),
])
def test_bad_usage(box, args, words):
    assert words in box.err(*args, code=EX_USAGE)
    assert not os.path.exists(box.logins)


def test_configuration_missing_bad_default(box):
    gone = box.path / "gone.conf"
    assert "No such file" in box.run("-c", gone, "list", config=False,
                                     code=EX_NOINPUT).stderr
    with open(box.conf, "a") as out:
        out.write("relay2: { };\n")
    assert "popgate.conf:" in box.err("list", code=EX_CONFIG)
    box.err("check-config", code=EX_CONFIG)
    # replay judges by the built-in defaults where there is no file
    if not os.path.exists("/etc/popgate/popgate.conf"):
        done = box.run("replay", "--each", "-", config=False, input="x\n")
        assert done.stdout == "ignore\t-\t-\n"


def test_databases_missing(box):
    for args in (["list"], ["dump"], ["export"], ["expire"],
                 ["delete", "192.0.2.1"], ["undeny", "192.0.2.1"],
                 ["decisions"], ["stats"], ["top"], ["spam"],
                 ["dependents"], ["report"], ["watch"], ["sql"],
                 ["deny", "--list"],
                 ["why", "192.0.2.1"]):
        assert "there is no" in box.err(*args, code=EX_NOINPUT), args
    # policy row 7, and nothing is made by asking
    assert "store-unavailable" in box.out("check", "--client", "192.0.2.1",
                                          "--to", "a@far.test")
    assert not os.path.exists(box.logins)


def test_database_of_a_newer_version(box):
    box.out("add", "192.0.2.1")
    db = sqlite3.connect(box.logins)
    db.execute("PRAGMA user_version = 99")
    db.close()
    for args in (["list"], ["add", "192.0.2.2"]):
        assert "newer than this program" in box.err(*args, code=EX_DATAERR)
    assert "store-unavailable" in box.out("check", "--client", "192.0.2.1",
                                          "--to", "a@far.test")


def test_database_of_rubbish(box):
    with open(box.logins, "wb") as out:
        out.write(b"rubbish" * 1000)
    box.err("list", code=EX_DATAERR)
    assert "store-unavailable" in box.out("check", "--client", "192.0.2.1",
                                          "--to", "a@far.test")


def test_database_locked(box):
    box.out("add", "192.0.2.1")
    db = sqlite3.connect(box.logins, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    # WAL: a writer never keeps readers out
    assert "192.0.2.1" in box.out("list")
    assert "lock" in box.err("add", "192.0.2.2", code=EX_TEMPFAIL)
    # and one that is let go in time has only waited
    waiting = box.launch(CTL, "add", "192.0.2.2")
    wait_for(lambda: opened(waiting.pid, box.logins), "the table to be open")
    db.execute("ROLLBACK")
    assert waiting.wait(PATIENCE) == 0
    assert "192.0.2.2" in box.out("list")


def test_output_that_cannot_be_written(box):
    box.out("add", "192.0.2.1")
    with open("/dev/full", "w") as full:
        done = subprocess.run([CTL, "-c", box.conf, "list"], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 74
    assert "can't be written" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_unprivileged_reader_and_writer():
    with tempfile.TemporaryDirectory() as path:
        unprivileged(CtlBox(path))


def unprivileged(box):
    box.out("add", "192.0.2.1")
    box.fill_audit([{}])
    for path, mode in ((box.path, 0o755), (box.logins, 0o644),
                       (f"{box.logins}-shm", 0o644),
                       (f"{box.logins}-wal", 0o644), (box.conf, 0o644)):
        os.chmod(path, mode)

    def as_nobody(*args):
        return subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
             CTL, "-c", box.conf, *args], capture_output=True, text=True)
    assert "192.0.2.1" in as_nobody("list").stdout
    done = as_nobody("add", "192.0.2.9")
    assert done.returncode == EX_NOPERM
    assert "needs root" in done.stderr
    os.chmod(box.logins, 0o600)
    for args in (["list"], ["why", "192.0.2.1"],
                 ["check", "--client", "192.0.2.1", "--to", "a@far.test"]):
        done = as_nobody(*args)
        assert done.returncode == EX_NOPERM, done
        assert "may not read" in done.stderr


def test_completion(box):
    script = box.out("completion", "bash")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    done = subprocess.run(
        ["bash", "-c", script + """
COMP_WORDS=(popgatectl -c x dec); COMP_CWORD=3; _popgatectl
echo "${COMPREPLY[@]}"
COMP_WORDS=(popgatectl decisions --fo); COMP_CWORD=2; _popgatectl
echo "${COMPREPLY[@]}"
COMP_WORDS=(popgatectl list --sort e); COMP_CWORD=3; _popgatectl
echo "${COMPREPLY[@]}"
COMP_WORDS=(popgatectl decisions --reason no-); COMP_CWORD=3; _popgatectl
echo "${COMPREPLY[@]}"
COMP_WORDS=(popgatectl decisions --user ''); COMP_CWORD=3; _popgatectl
echo "[${COMPREPLY[@]}]"
COMP_WORDS=(popgatectl why --log /etc/hostn); COMP_CWORD=3; _popgatectl
echo "${COMPREPLY[@]}"
COMP_WORDS=(popgatectl wiring p); COMP_CWORD=2; _popgatectl
echo "${COMPREPLY[@]}"
"""], capture_output=True, text=True)
    assert done.stdout == (
        "decisions\n--follow\nexpires\nno-client-identity no-login\n[]\n"
        "/etc/hostname\npostfix\n"), done
    script = box.out("completion", "zsh")
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n"], input=script, text=True, check=True)
