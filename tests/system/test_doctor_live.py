# SPDX-License-Identifier: ISC
"""The probe and the reading agree: each misconfiguration that lets strangers
relay is started on the real server, the probe relays (as far as RCPT) and the
reading names it; where the probe relays, the reading must not be silent."""
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess

import pytest

import doctor_cases
from doctor_cases import CASES, FOREIGN, write
from lab.process import Process, need
from lab.sendmail import AT_ANY_LOAD
from lab.site import BUILD, NamespaceSite

STRANGER = "203.0.113.77"
PROBE_OPENS = {"probe-open-relay", "probe-sender-opens", "probe-helo-opens",
               "probe-form-opens", "probe-xclient-opens"}

OPEN = [case for case in CASES if case.open]
# what looks bad and isn't, and the good ones; on the machine that we have
GOOD = [case for case in CASES if not case.want and not case.machine and
        not case.local and not case.entries and case.mta in ("postfix", "sendmail", "exim")]


# good ones of which the probe can't tell: they refuse everybody, or ask
# somebody who isn't there
UNJUDGED = {"a client list that refuses the rest", "another policy service",
            "a table that can't be listed", "a sole gate that holds",
            "no ACL",
            "relay_domains is static, but every service refuses all",
            "the default of old, and a host name without a dot",
            "relay_domains is static, but only some clients get that far"}


def named(case):
    return f"{case.mta}: {case.name}"


@pytest.fixture(scope="module")
def site():
    site = NamespaceSite()
    try:
        site.serial = 0
        # in a private copy nothing can be mounted over these
        for name in ("passwd", "group"):
            path = pathlib.Path("/etc", name)
            lines = [line for line in path.read_text().splitlines()
                     if not line.startswith("Debian-exim:")]
            path.write_text("\n".join([*lines, doctor_cases.EXIM_USER[name]]))
        yield site
    finally:
        site.close()


class Postfix:
    def __init__(self, site, case, directory, path):
        user = pwd.getpwnam("postfix")
        os.chown(directory / "data", user.pw_uid, user.pw_gid)
        self.path = path
        self.log = directory / "maillog"
        self.process = Process("postfix", [
            need("/usr/sbin/postfix", "postfix"), "-c", path, "start-fg"],
            directory)

    def stop(self):
        subprocess.run(["/usr/sbin/postfix", "-c", self.path, "stop"],
                       capture_output=True)
        self.process.stop()


class Sendmail:
    def __init__(self, site, case, directory, path):
        self.log = None
        self.process = Process("sendmail", [
            need(doctor_cases.LIBEXEC / "sendmail", "build/sendmail"),
            f"-C{path}", "-bD", *AT_ANY_LOAD], directory)

    def stop(self):
        self.process.stop()


class Exim:
    def __init__(self, site, case, directory, path):
        self.log = directory / "mainlog"
        need(doctor_cases.EXIM, "build/exim")
        self.process = Process("exim", [
            directory / "exim", "-C", path, "-bdf"], directory)

    def stop(self):
        self.process.stop()


SERVERS = {"postfix": Postfix, "sendmail": Sendmail, "exim": Exim}


def doctor(directory, *options):
    done = subprocess.run(
        [BUILD / "popgatectl", "-c", directory / "popgate.conf", "doctor",
         "--json", *map(str, options)], capture_output=True, text=True,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:"
             f"{doctor_cases.LIBEXEC}"})
    assert done.returncode in (0, 1, 2), done.stderr
    findings = json.loads(done.stdout)["findings"]
    return ({f["id"] for f in findings if f["severity"] == "open-relay"},
            findings)


def examine(site, case):
    """The openings that each found; all findings; the running server."""
    site.serial += 1
    directory = site.root / f"case{site.serial}"
    if case.mta != "postfix":       # its copy has a /run of its own
        directory = pathlib.Path("/srv") / f"{site.root.name}-{os.getpid()}" \
            / directory.name
    directory.mkdir(parents=True)
    path = write(case, directory)
    server = SERVERS[case.mta](site, case, directory, path)
    server.process.start()
    try:
        server.process.accepts((site.address4, 25))
        how = case.how
        foreign = FOREIGN
        if "recipient" in how and how["recipient"].startswith("someone@"):
            foreign = how["recipient"].split("@")[1]
        options = ["--mta", case.mta, "--config-dir", path]
        if case.mta == "exim":
            options += ["--program", directory / "exim"]
        if case.mta == "sendmail":
            options += ["--program", doctor_cases.LIBEXEC / "sendmail"]
        options += ["--probe", "--host", site.address4, "--source", STRANGER,
                    "--foreign", foreign, "--timeout", "8s"]
        if how.get("sender"):
            options += ["--sender", how["sender"]]
        if "helo" in how:
            options += ["--helo", how["helo"]]
        found, findings = doctor(directory, *options)
    finally:
        server.stop()
        if case.mta != "postfix":
            shutil.rmtree(directory.parent)
    if case.mta == "postfix":
        # by the server's own count: nobody said DATA
        text = server.log.read_text()
        sessions = re.findall(r"disconnect from \S+\[203.0.113.77\](.*)",
                              text)
        assert sessions and not any("data=" in s for s in sessions)
    return ({i for i in found if i.startswith("probe-")},
            {i for i in found if not i.startswith("probe-")}, findings)


@pytest.mark.parametrize("case", OPEN, ids=named)
def test_open(site, case):
    probe, reading, findings = examine(site, case)
    assert probe & PROBE_OPENS, findings
    assert case.want in {f["id"] for f in findings}, findings


@pytest.mark.parametrize("case", GOOD, ids=named)
def test_good(site, case):
    probe, reading, findings = examine(site, case)
    assert not probe and not reading, findings
    ids = {f["id"] for f in findings}
    if case.name in UNJUDGED:
        assert "probe-unjudged" in ids and "probe-closed" not in ids
        return
    assert "probe-unjudged" not in ids, findings
    assert "probe-closed" in ids or "probe-form-unsure" in ids, findings
