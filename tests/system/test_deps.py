# SPDX-License-Identifier: ISC
"""make deps with stand-ins for apt and dpkg: nothing is removed, and an
interrupted installation doesn't keep services from starting. (That it installs
what is needed, tests/release.sh shows on a bare Debian.)"""
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from lab import namespace
from lab.process import ended, wait_for
from lab.site import TOP, NamespaceSite

POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
CALLS = pathlib.Path("/run/calls")

# apt-get install waits for a signal, or for /run/finish
APT = """\
#!/bin/sh
echo "apt-get $*" >>/run/calls
case "$*" in
*-s*) cat /run/simulated 2>/dev/null; exit 0 ;;
*update*) cat /run/update 2>/dev/null && exit 100; exit 0 ;;
*install*) ;;
*) exit 0 ;;
esac
/usr/sbin/policy-rc.d dovecot.service start
echo "services: $?" >>/run/calls
until [ -e /run/finish ]; do sleep 0.01; done
"""
NONE_INSTALLED = "#!/bin/sh\nexit 1\n"
NOTHING = '#!/bin/sh\necho "${0##*/} $*" >>/run/calls\n'


@pytest.fixture
def machine(tmp_path):
    """It has no package that deps.sh asks for, and its own /usr."""
    site = NamespaceSite()
    try:
        namespace.mount("tmpfs", "/var/lib/dpkg", "tmpfs", 0, "mode=0755")
        for name, text in (("apt-get", APT), ("dpkg", NOTHING),
                           ("apt-cache", NOTHING),
                           ("dpkg-query", NONE_INSTALLED)):
            path = pathlib.Path("/usr/bin", name)
            path.unlink(missing_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        POLICY.unlink(missing_ok=True)
        CALLS.touch()
        (tmp_path / "tests/system").mkdir(parents=True)
        for name in ("deps.sh", "packages.sh", "install.sh", "system/deps.sh"):
            shutil.copy(TOP / "tests" / name, tmp_path / "tests" / name)
        yield tmp_path / "tests/deps.sh"
    finally:
        site.close()


def deps(script, what="build", **popen):
    environment = {**os.environ}
    environment.pop("POPGATE_BUILD", None)
    return subprocess.Popen(
        ["sh", script, what], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=environment, start_new_session=True,
        **popen)


def start(script):
    """An installation at work; and what it was told about services."""
    CALLS.write_text("")
    child = deps(script)
    wait_for(lambda: "services: " in CALLS.read_text(), CALLS.read_text)
    assert "services: 101" in CALLS.read_text()
    return child


def ask_policy():
    return subprocess.run([POLICY, "dovecot.service", "start"]).returncode


def finish(script):
    """The same command again goes to its end."""
    pathlib.Path("/run/finish").touch()
    CALLS.write_text("")
    child = deps(script)
    said = child.communicate()[0]
    assert child.returncode == 0, said
    assert not POLICY.exists()
    return CALLS.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM,
                                    signal.SIGHUP, signal.SIGKILL])
def test_interrupted(machine, number):
    child = start(machine)
    os.killpg(child.pid, number)
    child.communicate()
    if number == signal.SIGKILL:
        assert POLICY.exists()      # nobody was left to remove it
        assert ask_policy() == 0
    wait_for(lambda: not POLICY.exists(), POLICY.read_text)
    calls = finish(machine)
    assert "dpkg --configure -a" in calls
    assert "--fix-broken" in calls


def test_killed_and_never_asked(machine):
    child = start(machine)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    finish(machine)


def test_only_the_caller_is_ended(machine):
    """The installation goes on, with services forbidden, and cleans up."""
    child = start(machine)
    child.kill()
    wait_for(lambda: ended(child.pid), "its end")
    assert ask_policy() == 101
    pathlib.Path("/run/finish").touch()
    wait_for(lambda: not POLICY.exists(), POLICY.read_text)
    child.communicate()


def test_without_root(machine):
    """Nor with sudo: nothing is asked of apt."""
    pathlib.Path("/usr/bin/sudo").unlink(missing_ok=True)
    shutil.copytree(machine.parent, "/run/tests")   # where nobody gets to it
    CALLS.chmod(0o666)
    child = deps("/run/tests/deps.sh", cwd="/", user=65534, group=65534,
                 extra_groups=[])
    said = child.communicate()[0]
    assert child.returncode == 69
    assert "takes root: be root, or install sudo" in said
    assert "apt-get" not in CALLS.read_text()


def test_a_policy_of_the_admin(machine):
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    child = start(machine)
    os.killpg(child.pid, signal.SIGTERM)
    child.communicate()
    assert POLICY.read_text() == "#!/bin/sh\nexit 101\n"


def test_whole(machine):
    pathlib.Path("/run/finish").touch()
    CALLS.write_text("")
    calls = finish(machine)
    assert "--configure" not in calls and "--fix-broken" not in calls
    assert all("--no-remove" in call for call in calls.splitlines()
               if " install " in call and " -s " not in call)


def test_would_remove(machine):
    pathlib.Path("/run/simulated").write_text(
        "Remv courier-imap [5.0]\nInst gcc (12 Debian)\n")
    CALLS.write_text("")
    child = deps(machine)
    said = child.communicate()[0]
    assert child.returncode == 69
    assert "would remove courier-imap" in said
    assert "--no-remove" not in CALLS.read_text()
    assert not POLICY.exists()


def test_a_server_in_use(machine):
    """A Dovecot that serves IMAP alone isn't given POP3: what the demo needs is
    unpacked."""
    pathlib.Path("/usr/bin/dpkg-query").write_text(
        "#!/bin/sh\ncase $* in *pop3d) exit 1 ;; *) echo installed ;; esac\n")
    child = deps(machine.with_name("system") / "deps.sh", "postfix")
    said = child.communicate()[0]
    assert child.returncode == 0, said
    assert "would change dovecot-core dovecot-imapd" in said
    calls = CALLS.read_text()
    assert "download dovecot-core dovecot-imapd dovecot-pop3d" in calls
    assert not [call for call in calls.splitlines()
                if " install " in call and " -s " not in call]
    build = machine.parents[1] / "build"
    assert [path.name for path in build.iterdir()] == ["dovecot"]


@pytest.mark.parametrize("fetched", [True, False])
def test_lists_that_can_not_be_fetched(machine, fetched):
    """One source that fails is the admin's matter; all: there is no network."""
    pathlib.Path("/run/update").write_text(
        "Err:1 http://a.test stable InRelease\n" +
        "Hit:2 http://b.test stable InRelease\n" * fetched +
        "W: Failed to fetch http://a.test/dists/stable/InRelease\n")
    pathlib.Path("/run/finish").touch()
    child = deps(machine)
    said = child.communicate()[0]
    assert "W: Failed to fetch http://a.test" in said
    assert (child.returncode == 0) == fetched, said
    assert ("is there a network" in said) != fetched
    assert (" install " in CALLS.read_text()) == fetched
