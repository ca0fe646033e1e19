# SPDX-License-Identifier: ISC
"""The daemons' user when root starts them: the one that popgate.conf names,
else the one that is made for them, else they don't start."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from lab import proc
from lab.popgate import Popgate
from lab.process import Failure, wait_for
from lab.site import BUILD, NamespaceSite

DAEMONS = {"milter": ("popgate", 64901, {64901}),
           "collector": ("popgate-collector", 64902, None)}


@pytest.fixture
def popgate():
    site = NamespaceSite()
    try:
        made = Popgate(site, ["lab.test"], "daemon")
        site.mail_log.touch()
        yield made
    finally:
        site.close()


def configure(popgate, value):
    """user = VALUE for both daemons; None: not set."""
    user = "" if value is None else f'user = "{value}";'
    popgate.configure(milter_user=user, collector_user=user)


def start(popgate, name):
    getattr(popgate, f"start_{name}")()
    return getattr(popgate, name)


def identity(process):
    """Effective user and all groups, as its own process table has it."""
    pid, = proc.named(process.name[:15])
    status = proc.text(pid, "status")
    ids = {key: list(map(int, re.search(
        rf"^{key}:(.*)", status, re.M)[1].split()))
        for key in ("Uid", "Gid", "Groups")}
    assert len(set(ids["Uid"])) == len(set(ids["Gid"])) == 1
    return ids["Uid"][0], set(ids["Gid"] + ids["Groups"])


def forget_users():
    """A machine on which nobody made them."""
    for name in ("passwd", "group"):
        path = pathlib.Path("/etc") / name
        path.write_text("".join(
            line for line in path.read_text().splitlines(True)
            if not line.startswith("popgate")))


@pytest.mark.parametrize("name", DAEMONS)
def test_not_set(popgate, name):
    """The one that is made for it, with its groups, and no other."""
    configure(popgate, None)
    user, uid, groups = DAEMONS[name]
    process = start(popgate, name)
    got_uid, got_groups = identity(process)
    assert got_uid == uid
    if groups is None:          # it may read logs
        text = pathlib.Path("/etc/group").read_text()
        groups = {uid} | {int(re.search(rf"^{group}:.*?:(\d+)", text,
                                        re.M)[1])
                  for group in ("adm", "systemd-journal")
                  if f"\n{group}:" in text}
    assert got_groups == groups
    assert "root" not in popgate.ctl("status", check=False).stdout
    assert process.stop() == 0


@pytest.mark.parametrize("name", DAEMONS)
def test_named(popgate, name):
    configure(popgate, "alice")
    os.chmod(popgate.data, 0o1777)
    os.chmod(popgate.site.sockets, 0o1777)
    process = start(popgate, name)
    assert identity(process)[0] == 64911
    assert process.stop() == 0


@pytest.mark.parametrize("name", DAEMONS)
def test_root_is_said(popgate, name):
    """It stays root where that is said, and says so."""
    configure(popgate, "root")
    process = start(popgate, name)
    assert identity(process)[0] == 0
    wait_for(lambda: f'{name}.user is "root", so it stays root'.encode() in
             process.log.read_bytes(), "a log line that says so")
    # its status socket is made last
    wait_for(lambda: f"popgate-{name}'s user: root, as popgate.conf says" in
             popgate.ctl("status", check=False).stdout, "status to say so")
    assert process.stop() == 0


@pytest.mark.parametrize("name", DAEMONS)
def test_no_such_user(popgate, name):
    """Nobody to become, and nobody said root: it doesn't start, and says
    what to do; -t says so too."""
    configure(popgate, None)
    forget_users()
    user = DAEMONS[name][0]
    for words in ((), ("-t",)):
        done = subprocess.run(
            [BUILD / f"popgate-{name}", "-c", popgate.config, "-l", "stderr",
             *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 78, done
        assert f"started as root, and there is no user {user} to become" in \
            done.stderr
        assert f"set {name}.user in popgate.conf" in done.stderr
    with pytest.raises(Failure):
        start(popgate, name)
    # nothing was made as root
    assert not list(popgate.data.iterdir())
    assert not list(popgate.site.sockets.iterdir())
    # for somebody else there is nothing to become; who may not look into
    # root's home, where this may have been built
    program = pathlib.Path(shutil.copy(BUILD / f"popgate-{name}",
                                       popgate.site.root))
    program.chmod(0o755)
    done = subprocess.run(
        [program, "-c", popgate.config, "-t"], user=65534,
        group=65534, extra_groups=[], capture_output=True, text=True,
        timeout=30)
    assert done.returncode == 0, done
