# SPDX-License-Identifier: ISC
"""popgatectl doctor rehearses Postfix: what strangers relay by on the real
server is shown by a dialogue, with the line that permits it; what is closed is
never called open.

tests/data/doctor-cases holds configurations, each judged by what the real
server did. A few of each kind are asked by default, for the time it takes;
POPGATE_ALL_CASES=1 asks all."""
import json
import os
import pathlib
import pwd
import re
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

from lab.process import need
from lab.site import BUILD, TOP

DATA = TOP / "tests/data/doctor-cases"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

# number: file and line of the cause; None: no stranger can show it
OPEN = {
    100: ("wl", 1), 102: ("rcpt", 1), 104: ("cl", 1), 106: ("snd", 4),
    108: ("r", 1), 110: ("main.cf", 19), 112: ("main.cf", 23),
    116: ("nets", 1), 118: ("main.cf", 15), 120: ("main.cf", 15),
    124: ("relay_domains", 2), 126: ("rd", 1), 128: ("main.cf", 23),
    130: ("main.cf", 23), 132: ("rcm", 1), 134: ("master.cf", 27),
    138: ("master.cf", 26), 140: ("main.cf", 19), 142: ("main.cf", 19),
    146: ("c", 1), 148: ("h", 1), 150: ("s", 1), 152: ("c", 1),
    190: ("main.cf", 19), 198: ("r", 1), 250: ("s", 1), 252: ("r", 1),
    256: ("cc", 1), 258: ("main.cf", 19), 260: ("master.cf", 4),
}
# What no dialogue shows here, and what the reading says of it: the class of the
# machine's network, which is shown where that holds strangers (10.0.0.0/8's
# kind); a forwarder that no configuration names; a client's own name in a
# domain that the configuration trusts.
NOT_SHOWN = {122: ("postfix-mynetworks-style", "main.cf"), 136: None,
             196: ("postfix-client-name-permits", "c")}
SOME = {100, 124, 132, 138, 142, 166, 178, 194, 198, 256, 258}


def cases():
    for line in (DATA / "cases.tsv").read_text().splitlines()[1:]:
        number, mta, _, truth = line.split("\t")
        n = int(number)
        if mta == "postfix" and n not in NOT_SHOWN and (
                n in SOME or os.environ.get("POPGATE_ALL_CASES")):
            yield n, truth.startswith("open")


@pytest.fixture
def run():
    need("/usr/lib/postfix/sbin/master", "postfix")
    path = pathlib.Path(tempfile.mkdtemp(prefix="rehearsal-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def certificate(run):
    (run / "certs").mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
         "/CN=mx", "-keyout", run / "certs/key.pem", "-out",
         run / "certs/cert.pem"], check=True, capture_output=True)


def install(run, number):
    """The configuration's files, as they were where it was judged."""
    source, = DATA.glob(f"{number}-postfix-*")
    path = run / str(number)
    (path / "etc").mkdir(parents=True)
    for name in ("queue", "data"):
        (path / name).mkdir()
    os.chown(path / "data", pwd.getpwnam("postfix").pw_uid, -1)
    certificate(run)
    for file in source.iterdir():
        if file.is_dir():
            shutil.copytree(file, path / file.name)
            continue
        text = file.read_text().replace("@RUN@", str(run)).replace(
            "@DIR@", str(run))
        where = "etc" if file.name in ("main.cf", "master.cf") else "."
        (path / where / file.name).write_text(text)
    main = (path / "etc/main.cf").read_text()
    for kind, table in re.findall(r"\b(hash|btree):([^\s,]+)", main):
        subprocess.run(["postmap", "-c", path / "etc", f"{kind}:{table}"],
                       check=True)
    if number == 140:
        with sqlite3.connect(path / "m.db") as db:
            db.execute("CREATE TABLE t(a, b)")
            db.execute("INSERT INTO t VALUES('friend.test', 'OK')")
    return path


def rehearse(path, *more):
    done = subprocess.run(
        [BUILD / "popgatectl", "-c", path / "popgate.conf", "doctor", "--mta",
         "postfix", "--config-dir", path / "etc", "--json", *more],
        capture_output=True, text=True, timeout=200)
    assert done.returncode in (0, 1, 2), done.stderr
    return done.returncode, json.loads(done.stdout)["findings"]


@pytest.mark.parametrize("number,is_open", list(cases()))
def test_case(run, number, is_open):
    status, findings = rehearse(install(run, number))
    shown = [f for f in findings if f["id"] == "postfix-rehearsed-open"]
    assert "postfix-not-rehearsed" not in {f["id"] for f in findings}
    assert (status == 2) == bool(shown) == is_open, findings
    if is_open:
        got = {(pathlib.Path(f["file"]).name, f["line"]) for f in shown}
        assert got == {OPEN[number]}, shown
        assert all("RCPT TO:" in f["detail"] and f["fix"] for f in shown)
    else:
        # the other two kinds of the rehearsal that say what it did
        assert "postfix-rehearsed" in {f["id"] for f in findings} or \
            "postfix-not-shown" in {f["id"] for f in findings}


@pytest.mark.parametrize("number", [n for n, want in NOT_SHOWN.items()
                                    if want])
def test_not_shown(run, number):
    status, findings = rehearse(install(run, number), "--read")
    kind, file = NOT_SHOWN[number]
    assert status == 1
    assert (kind, file) in {(f["id"], pathlib.Path(f.get("file", "")).name)
                            for f in findings if f["severity"] == "warning"}
