# SPDX-License-Identifier: ISC
"""popgatectl doctor --changes as its systemd unit runs it: the private copy of
the mail server starts inside of the unit's sandbox; and where a sandbox forbids
it, the mail says so, and an open relay that was found isn't called closed.

No systemd runs here: the sandbox's mounts and capabilities are made by hand, and
a setting of the unit that isn't known here is refused."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile

import pytest

import test_rehearsal_postfix as rehearsal
from lab.process import need
from lab.site import BUILD, TOP

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

UNIT = (TOP / "etc/systemd/popgate-doctor.service").read_text()
# of the unit, as systemd.exec(5) has them: what each does to a process of root's
MOUNTS = {
    "PrivateTmp": "mount -t tmpfs tmpfs /tmp; mount -t tmpfs tmpfs /var/tmp",
    "ProtectKernelTunables":
        "for i in /proc/sys /sys; do mount --bind $i $i; "
        "mount -o remount,bind,ro $i; done",
    "ProtectControlGroups":
        "mount --bind /sys/fs/cgroup /sys/fs/cgroup; "
        "mount -o remount,bind,ro /sys/fs/cgroup",
}
BOUND = {"ProtectKernelModules": "-sys_module",
         "ProtectClock": "-sys_time,-wake_alarm"}
# system calls that no mail server makes, and what isn't a sandbox
HARMLESS = {"LockPersonality", "RestrictRealtime", "Type", "ExecStart",
            "SuccessExitStatus", "TimeoutStartSec", "Nice", "StateDirectory",
            "StateDirectoryMode"}


@pytest.fixture
def run():
    need("/usr/lib/postfix/sbin/master", "postfix")
    path = pathlib.Path(tempfile.mkdtemp(prefix="doctor-unit-", dir="/srv"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def service(run, etc, more_bound=""):
    """The unit, with this Postfix at /etc/postfix; what it mailed, or None."""
    settings = re.findall(r"(?m)^(\w+)=(.*)$", UNIT.split("[Service]")[1])
    assert {name for name, _ in settings} == \
        {*MOUNTS, *BOUND, *HARMLESS}, settings
    words = shlex.split(dict(settings)["ExecStart"])
    words[0] = str(BUILD / "popgatectl")
    words[1:1] = ["-c", str(run / "popgate.conf")]
    words[words.index("/var/lib/popgate-doctor/found")] = str(run / "found")
    bound = ",".join([*BOUND.values(), *([more_bound] if more_bound else [])])
    mail = run / "mail"
    mail.unlink(missing_ok=True)
    bin = run / "bin"
    bin.mkdir(exist_ok=True)
    (bin / "sendmail").write_text(f"#!/bin/sh\ncat >{mail}\n")
    (bin / "sendmail").chmod(0o755)
    script = "; ".join([
        "mount --make-rprivate /", f"mount --bind {etc} /etc/postfix",
        *MOUNTS.values(), f"exec setpriv --bounding-set {bound} -- " +
        shlex.join(words)])
    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", script], capture_output=True, text=True,
        timeout=600, env={**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"})
    assert done.returncode in (0, 1, 2), done
    return mail.read_text() if mail.exists() else None


def test_under_the_unit(run):
    path = rehearsal.closed(run, rehearsal.OPEN_TO_ALL, {})
    etc = path / "etc"
    shutil.copy(path / "popgate.conf", run)
    for file in pathlib.Path("/etc/postfix").iterdir():
        if not (etc / file.name).exists() and file.is_file():
            shutil.copy(file, etc)
    shown, lost = "postfix-rehearsed-open", "postfix-not-rehearsed"
    mail = service(run, etc)
    assert "OPEN RELAY" in mail, mail
    assert shown in mail and lost not in mail, mail
    assert service(run, etc) is None
    # a sandbox without the right to make namespaces
    for want in (True, False):
        mail = service(run, etc, "-sys_admin")
        assert (mail is not None) == want, mail
        if want:
            assert lost in mail and "RestrictNamespaces" in mail
            assert shown not in mail
    mail = service(run, etc)
    assert lost in mail.split("No longer found")[1] and shown not in mail
    # closed: now it is gone
    main = (etc / "main.cf").read_text()
    (etc / "main.cf").write_text(main.replace(rehearsal.OPEN_TO_ALL, ""))
    assert shown in service(run, etc).split("No longer found")[1]
