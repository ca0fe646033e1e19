# SPDX-License-Identifier: ISC
"""make install that is interrupted, or runs out of disk: no file is half there
that the next one would keep, and given again it does the whole."""
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from lab import namespace
from lab.process import unprivileged, wait_for
from lab.site import BUILD, TOP, NamespaceSite

PROGRAMS = ("popgate-milter", "popgate-collector", "popgatectl")


def make(root, *more, **popen):
    """make install as it is after make."""
    return subprocess.Popen(
        ["make", "-s", "-C", TOP, "-o", "all", "install", f"BUILD={BUILD}",
         f"DESTDIR={root}", "PREFIX=/usr", *more], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True, **popen)


def install(root):
    child = make(root)
    said = child.communicate()[0]
    return child.returncode, said


def tree(root):
    found = {}
    for path in sorted(pathlib.Path(root).rglob("*")):
        found[str(path.relative_to(root))] = (
            path.lstat().st_mode, path.is_file() and path.read_bytes())
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    code, said = install(root)
    assert code == 0, said
    return tree(root)


def room_before(root, path):
    """Bytes of the files that make install has written before this one."""
    end = (root / path).stat().st_mtime_ns
    found = [file.lstat() for file in root.rglob("*") if file.is_file()
             and not file.is_symlink()]
    return sum(file.st_blocks * 512 for file in found
               if file.st_mtime_ns < end)


@pytest.fixture
def disk(tmp_path):
    """A disk of its own; returns a function that says how large it is."""
    site = NamespaceSite()
    try:
        root = tmp_path / "disk"
        root.mkdir()
        namespace.mount("tmpfs", root, "tmpfs", 0, "size=100m,mode=0755")

        def resize(size):
            namespace.run("mount", "-o", f"remount,size={size}", root)
        yield root, resize
    finally:
        site.close()


@pytest.mark.parametrize("path", [
    "usr/sbin/popgatectl", "etc/popgate/popgate.conf",
    "etc/popgate/postfix/closed.cf", "etc/popgate/dovecot/popgate-post-login"])
def test_full_disk(whole, disk, path):
    """No room for the last page of a file: it isn't there, or is as it was."""
    root, resize = disk
    assert install(root)[0] == 0
    room = room_before(root, path)
    room += ((root / path).stat().st_size - 1) // 4096 * 4096
    for there in root.iterdir():
        shutil.rmtree(there)
    for name in PROGRAMS:
        (root / "usr/sbin").mkdir(parents=True, exist_ok=True)
        (root / "usr/sbin" / name).write_bytes(b"of before")
    resize(room)
    code, said = install(root)
    assert code != 0 and "No space left on device" in said
    for name, (_, data) in tree(root).items():
        if name.startswith(("etc/", "usr/sbin/")):
            assert data in (whole[name][1], b"of before"), (name, said)
    resize(100 << 20)
    code, said = install(root)
    assert code == 0 and "kept" not in said, said
    assert tree(root) == whole


def test_read_only(whole, disk):
    """A /usr that can't be written to."""
    root, _ = disk
    usr = root / "usr"
    usr.mkdir()
    namespace.mount("tmpfs", usr, "tmpfs", 0, "mode=0755")
    namespace.run("mount", "-o", "remount,ro", usr)
    code, said = install(root)
    assert code != 0 and "Read-only file system" in said
    assert not [path for path in root.rglob("*") if path.is_file()]
    namespace.run("mount", "-o", "remount,rw", usr)
    code, said = install(root)
    assert code == 0, said
    assert tree(root) == whole


def test_without_root(tmp_path):
    child = make(tmp_path / "etc", **unprivileged("/usr/bin/make"))
    said = child.communicate()[0]
    assert child.returncode != 0 and "Permission denied" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number, there", [
    (signal.SIGINT, "usr/sbin"), (signal.SIGHUP, "usr/share/man/man8"),
    (signal.SIGTERM, "etc/popgate/popgate.conf"),
    (signal.SIGKILL, "etc/popgate/postfix")])
def test_interrupted(whole, tmp_path, number, there):
    child = make(tmp_path)
    wait_for((tmp_path / there).exists, there)
    os.killpg(child.pid, number)
    child.communicate()
    code, said = install(tmp_path)
    assert code == 0, said
    assert "kept" not in said
    assert tree(tmp_path) == whole
