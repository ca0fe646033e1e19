# SPDX-License-Identifier: ISC
"""popgatectl import and export: other programs' files."""
import os
import shutil
import subprocess
import time

import pytest

from lab.box import CTL, EX_DATAERR, jsons, lines, makemap


def run_makemap(*args, **kw):
    done = subprocess.run([makemap(), "-C", "/dev/null", *args],
                          capture_output=True, text=True, **kw)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("null", [False, True])
def test_import_relayers_db(box, null):
    now = int(time.time())
    db = box.path / "relayers.db"
    args = ["-N"] if null else []
    run_makemap(*args, "hash", db, input=(
        f"10.11.12.13\t{now - 60}\n10.11.12.14\t{now - 99999}\n"
        f"10.11.12.15\t{now + 99999}\nnot.an.ip\t{now}\n"))
    done = box.run("import", db, code=EX_DATAERR)
    assert "2 entries imported, 1 too old, 1 left out" in done.stdout
    assert lines(box.vsm("dump")) == [f"10.11.12.13\t{now - 60}",
                                      f"10.11.12.15\t{now + 99999}"]


def test_export_relayers_db(box):
    now = int(time.time())
    box.vsm("add", "10.11.12.13", str(now - 60))
    box.vsm("add", "10.11.12.14", str(now - 99999))     # too old
    box.out("add", "10.99.0.0/16")
    db = box.path / "relayers.db"
    done = box.run("export", "--format=relayers.db", "--output", db)
    assert "network 10.99.0.0/16 is left out" in done.stderr
    assert run_makemap("-u", "hash", db) == f"10.11.12.13\t{now - 60}\n"
    if shutil.which("db_dump"):
        dump = subprocess.run(["db_dump", "-p", db], capture_output=True,
                              text=True).stdout
        assert " 10.11.12.13\n" in dump
    # again, over the old one
    box.run("export", "--format=relayers.db", "--output", db)
    assert [f for f in os.listdir(box.path) if f.endswith(".new")] == []


def test_import_rubbish_hash(box):
    db = box.path / "relayers.db"
    with open(db, "wb") as out:
        out.write(b"\0" * 12 + b"\x61\x15\x06\0" + os.urandom(8000))
    box.err("import", db, code=EX_DATAERR)


@pytest.mark.parametrize("text,want", [
    ("10.0.0.1\n10.0.0.2\n", ["10.0.0.1", "10.0.0.2"]),       # relayhosts
    ("10.0.0.1 alice@example.com\n", ["10.0.0.1"]),   # relayhostsusers
    ("alice 10.0.0.1\n", ["10.0.0.1"]),
    ("# comment\n\n10.0.0.1\tOK\n", ["10.0.0.1"]),            # access
    ("10.0.0.0/8 OK\n", ["10.0.0.0/8"]),                      # cidr
    ("10.0.0.1\tREJECT\n10.0.0.2 DUNNO\n", []),
    ("0.0.0.0/0 OK\n", []),
    ("10.0.0.1\tMar  1 12:00:00 2026\n", ["10.0.0.1"]),
    ("ip_address,ip_mask,lock_time\n10.0.0.1,32,{now}\n", ["10.0.0.1"]),
    ("ip_address,ip_mask,lock_time\n10.0.0.1,32,2001-01-01 10:00:00\n", []),
    ('{{"client":"10.0.0.1","user":"a\\u0041","expires_at":null}}\n',
     ["10.0.0.1"]),
    ('{{"client":"10.0.0.1","expires_at":"2001-01-01T00:00:00Z"}}\n', []),
    ('{{"client":"10.0.0.1"\n', []),
    ("rubbish\x1b[2J\n", []),
])
def test_import_formats(box, text, want):
    source = box.path / "in"
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    with open(source, "w") as out:
        out.write(text.format(now=now))
    exe = box.path / "popgatectl"
    dry = subprocess.run([CTL, "-c", box.conf, "import", "--dry-run",
                          source], capture_output=True, text=True)
    assert not os.path.exists(box.logins)
    assert "would be imported" in dry.stdout, dry
    assert dry.returncode in (0, EX_DATAERR)
    box.run("import", source, code=dry.returncode)
    assert [r["client"] for r in jsons(box.out("list", "--json"))] == want
    assert exe


@pytest.mark.parametrize("form", ["json", "csv"])
def test_export_import_round_trip(box, form):
    box.fill_logins([("192.0.2.1", 'al"ice, the\\1st', -240, 1560),
                     ("2001:db8::1", "bob", -100, 1700),
                     ("192.0.2.2", "old", -9000, -7200)])
    box.out("add", "10.0.0.0/8", "--forever")
    source = box.path / f"out.{form}"
    box.run("export", "--format", form, "--output", source)
    before = {(r["client"], r["user"], r["expires_at"])
              for r in jsons(box.out("list", "--json"))}
    for name in ("", "-wal", "-shm"):
        os.unlink(f"{box.logins}{name}")
    assert "3 entries imported" in box.out("import", source)
    assert {(r["client"], r["user"], r["expires_at"])
            for r in jsons(box.out("list", "--json"))} == before


def test_export_only_what_counts_now(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560),
                     ("192.0.2.2", "old", -9000, -7200)])
    for form in ("makemap", "relayhosts", "relayhostsusers", "access",
                 "cidr", "json", "csv"):
        out = box.out("export", "--format", form)
        assert "192.0.2.1" in out and "192.0.2.2" not in out, form
    assert box.out("export", "--format", "access", "--value",
                   "RELAY") == "192.0.2.1\tRELAY\n"
    target = box.path / "relayhosts"
    with open(target, "w") as out:
        out.write("old\n")
    os.chmod(target, 0o640)
    box.run("export", "--format", "relayhosts", "--output", target)
    assert open(target).read() == "192.0.2.1\n"
    assert os.stat(target).st_mode & 0o777 == 0o640
    box.err("export", "--output", "/nonexistent/dir/x", code=73)
