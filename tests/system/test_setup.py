# SPDX-License-Identifier: ISC
"""popgatectl setup on a machine with Debian's stock Postfix: what it promises
on the wire, and that everything comes back, whoever and whatever interrupts."""
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

from lab import namespace
from lab.box import (EX_CONFIG, EX_NOINPUT, EX_NOPERM, EX_TEMPFAIL,
                     EX_UNAVAILABLE, EX_USAGE, login)
from lab.process import wait_for
from lab.stock import CONF, CTL, JOURNAL, Stock, tree
from lab.site import BUILD, TOP

EX_IOERR, MS_RDONLY = 74, 1
STRANGER, CLIENT = "203.0.113.9", "203.0.113.20"
POSTFIX = {"/etc/postfix/main.cf", "/etc/postfix/master.cf"}


@pytest.fixture
def stock(keep):
    yield from keep(Stock())


@pytest.fixture
def ready(keep):
    """With popgate's users, which some tests don't want to wait for."""
    yield from keep(Stock(with_users=True))


def relay(stock, client):
    return stock.say("somebody@example.org", "friend@example.net", client)


def own(stock, client=STRANGER):
    return stock.say("somebody@example.org", "root@lab.test", client)


def daemon(name):
    """The process of a daemon of ours; 0: there is none."""
    for path in pathlib.Path("/proc").glob("[0-9]*/exe"):
        try:
            if os.readlink(path) == str(BUILD / name):
                return int(path.parent.name)
        except OSError:
            pass
    return 0


class TestThereAndBack:
    def test_all(self, stock):
        stock.start()
        before = relay(stock, STRANGER)
        assert before.code == 454
        # a plan changes nothing
        plan = stock.setup().stdout
        assert "smtp/inet takes mail, in a chroot" in plan
        assert "+smtpd_milters = " in plan and "popgate-collector" in plan
        assert not stock.changed() and not JOURNAL.exists()
        as_json = json.loads(stock.setup("--json").stdout)
        assert as_json["mta"] == "postfix" and as_json["changes"]
        assert {f["path"] for f in as_json["files"]} == {
            *POSTFIX, str(CONF)}
        assert not as_json["refused"] and not as_json["questions"]

        done = stock.setup("--apply")
        assert "Done." in done.stdout and done.stderr == ""
        assert stock.changed() == {*POSTFIX, str(CONF)}
        assert relay(stock, STRANGER).code == 550
        assert f"Relaying denied for {STRANGER}" in str(relay(stock, STRANGER))
        assert own(stock).code == 250
        with open("/var/log/mail.log", "a") as log:
            log.write(login(CLIENT))
        wait_for(lambda: CLIENT in subprocess.run(
            [CTL, "list"], capture_output=True, text=True).stdout, "a login")
        assert relay(stock, CLIENT).code == 250
        said = subprocess.run([CTL, "decisions"], capture_output=True,
                              text=True).stdout
        assert re.search(rf"reject +no-login +{STRANGER}", said)

        # nothing more to do
        wired = tree("/etc/postfix", "/etc/popgate", JOURNAL)
        again = stock.setup("--apply").stdout
        assert "Nothing to change" in again and "it works" in again
        assert tree("/etc/postfix", "/etc/popgate", JOURNAL) == wired
        assert "Nothing to change" in stock.setup().stdout

        # popgate is dead: closed, and our own mail goes on; setup revives it
        # by a process of the namespace, whose numbers these are
        subprocess.run(["kill", "-9", str(daemon("popgate-milter"))],
                       check=True)
        wait_for(lambda: not daemon("popgate-milter"), "its end")
        for client in (STRANGER, CLIENT):
            assert relay(stock, client).code // 100 == 4
        assert own(stock).code == 250
        assert "popgate-milter: started" in stock.setup().stdout
        stock.setup("--apply")
        assert relay(stock, CLIENT).code == 250

        undone = stock.setup("--undo").stdout
        assert "All of it is as it was before" in undone
        assert not stock.changed()
        assert list(JOURNAL.iterdir()) == []
        assert not daemon("popgate-milter")
        assert not daemon("popgate-collector")
        assert relay(stock, CLIENT) == before
        assert own(stock).code == 250
        assert "nothing to undo" in stock.setup("--undo").stdout

    def test_monitor(self, ready):
        ready.start()
        before = relay(ready, CLIENT)
        done = ready.setup("--monitor", "--apply").stdout
        assert 'mode = "observe"' in CONF.read_text() and "watches" in done
        subprocess.run([CTL, "add", CLIENT], check=True, capture_output=True)
        assert relay(ready, CLIENT) == before
        assert relay(ready, STRANGER) == before
        assert own(ready).code == 250
        said = wait_for(lambda: re.search(
            rf"would-accept +recent-login +{CLIENT}", subprocess.run(
                [CTL, "decisions"], capture_output=True, text=True).stdout),
            "the record")
        assert said
        assert "observe" in ready.setup("--json").stdout
        # and then in earnest
        ready.setup("--apply")
        assert relay(ready, CLIENT).code == 250
        assert relay(ready, STRANGER).code == 550
        ready.setup("--undo")
        assert not ready.changed()
        assert relay(ready, CLIENT) == before


class TestEdited:
    def test_left(self, ready):
        """The admin changes main.cf afterwards: his work isn't undone, and
        the printed command merges."""
        ready.setup("--apply", "--answer", "trial=skip")
        subprocess.run(["postconf", "-e", "delay_warning_time=4h"], check=True)
        done = ready.setup("--undo", code=1).stdout
        assert "left: /etc/postfix/main.cf" in done
        assert ready.changed() == {"/etc/postfix/main.cf"}
        command = re.search(r"By hand: (diff .*)", done)[1]
        again = ready.setup("--undo").stdout
        assert "nothing to undo" in again and command in again
        subprocess.run(command, shell=True, check=True, capture_output=True)
        main = (ready.etc / "main.cf").read_text()
        assert "popgate" not in main
        assert "delay_warning_time = 4h" in main

    def test_settings_are_kept(self, ready):
        """What the admin wrote into popgate.conf stays."""
        CONF.write_text('# mine\nlogins: { window = "10m"; };\n'
                        'relay: { local_domains = [ "lab.test" ];\n'
                        '  # not this one\n  mode = "monitor"; };\n')
        ready.setup("--apply", "--answer", "trial=skip")
        text = CONF.read_text()
        assert text.startswith('# mine\nlogins: { window = "10m"; };\n')
        assert 'local_domains = [ "lab.test" ];' in text
        assert '# not this one\n  mode = "enforce"; };' in text
        ready.setup("--undo")
        assert 'mode = "monitor"' in CONF.read_text()


class TestInterrupted:
    @pytest.fixture
    def killer(self, tmp_path):
        shim = tmp_path / "kill.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", shim,
                        TOP / "tests/system/setup_kill.c", "-ldl"], check=True)

        def kill_at(n, *args):
            return subprocess.run(
                [CTL, "setup", *args], capture_output=True, text=True,
                env={**os.environ, "LD_PRELOAD": str(shim),
                     "KILL_AT": str(n)}).returncode
        return kill_at

    def test_at_every_step(self, ready, killer):
        """Killed before each call that changes a disk: --undo puts all back,
        from whatever there is."""
        CONF.write_text('relay: { local_domains = [ "lab.test" ]; };\n')
        before = tree("/etc/postfix", "/etc/popgate")
        skip = ("--apply", "--answer", "trial=skip")
        states = set()
        for n in range(1, 400):
            code = killer(n, *skip)
            if code == 0:
                break
            assert code == -signal.SIGKILL, n
            states.add(frozenset(path for path, found in tree(
                "/etc/postfix", "/etc/popgate").items()
                if before.get(path) != found))
            if n % 7 == 0:      # a new --apply goes on from there, as well
                ready.setup(*skip)
            # so does an undo that is killed itself
            if n % 3 == 0:
                killer(n % 20 + 1, "--undo")
            ready.setup("--undo")
            assert tree("/etc/postfix", "/etc/popgate") == before, n
            assert not JOURNAL.exists() or not list(JOURNAL.iterdir()), n
        assert n > 40
        # it was interrupted between all files, not only before the first
        assert len(states) > 5
        ready.setup("--undo")
        assert tree("/etc/postfix", "/etc/popgate") == before

    def test_by_control_c(self, ready):
        """^C while the daemons start: all goes back at once."""
        child = subprocess.Popen(
            [CTL, "setup", "--apply", "--answer", "trial=skip"],
            stdout=subprocess.PIPE, text=True)
        for line in child.stdout:
            if "starting the daemons" in line:
                child.send_signal(signal.SIGINT)
                break
        rest = child.stdout.read()
        assert child.wait() == EX_TEMPFAIL
        assert "put back" in rest
        assert not ready.changed() and not daemon("popgate-milter")

    def test_two_at_once(self, ready):
        ready.setup("--apply", "--answer", "trial=skip")
        fd = os.open(JOURNAL, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        for what in ("--apply", "--undo"):
            done = ready.setup(what, code=EX_TEMPFAIL)
            assert "another popgatectl setup is at work" in done.stderr
        os.close(fd)

    @pytest.mark.parametrize("full", ["/etc/postfix", "/var/lib"])
    def test_full_disk(self, ready, full):
        size = "1m" if full == "/etc/postfix" else "16k"
        copy = pathlib.Path("/run/copy")
        if full == "/etc/postfix":
            shutil.copytree(full, copy, symlinks=True)
        namespace.mount("tmpfs", full, "tmpfs", 0, f"size={size}")
        if full == "/etc/postfix":      # room for one new file, not for two
            shutil.copytree(copy, full, symlinks=True, dirs_exist_ok=True)
            with open("/etc/postfix/filler", "wb", buffering=0) as filler:
                with pytest.raises(OSError):
                    while True:
                        filler.write(b"x" * 4096)
                filler.truncate(filler.tell() // 4096 * 4096 - 4096)
        else:
            os.mkdir("/var/lib/popgate")
            shutil.chown("/var/lib/popgate", "popgate-collector", "popgate")
            os.chmod("/var/lib/popgate", 0o3770)
        before = tree("/etc/postfix", "/etc/popgate")
        done = ready.setup("--apply", "--answer", "trial=skip", code=EX_IOERR)
        assert "No space left on device" in done.stderr
        assert tree("/etc/postfix", "/etc/popgate") == before
        assert not daemon("popgate-milter")
        ready.setup("--undo")


class TestQuestions:
    def test_mynetworks(self, ready):
        with open(ready.etc / "main.cf", "a") as main:
            main.write("mynetworks = 127.0.0.0/8 198.51.100.0/28\n")
        ready.before = tree("/etc/postfix", "/etc/popgate")
        plan = ready.setup().stdout
        assert "198.51.100.0/28" in plan and "mynetworks=trust" in plan
        done = ready.setup("--apply", code=EX_USAGE)
        assert "answer the question 'mynetworks'" in done.stderr
        done = ready.setup("--apply", "--answer", "mynetworks=yes",
                           code=EX_USAGE)
        assert "mynetworks=trust or mynetworks=close" in done.stdout
        assert not ready.changed()
        skip = ("--answer", "trial=skip")
        ready.setup("--apply", "--answer", "mynetworks=close", *skip)
        assert "198.51.100" not in CONF.read_text()
        ready.setup("--undo")
        ready.setup("--apply", "--answer", "mynetworks=trust", *skip)
        assert ('trusted_networks = [ "127.0.0.0/8", "198.51.100.0/28" ]'
                in CONF.read_text())
        # an answer that was given is in the file, and isn't asked for again
        assert "Nothing to change" in ready.setup("--apply").stdout

    def test_generated(self, ready):
        main = ready.etc / "main.cf"
        main.write_text("# Ansible managed: do not edit\n" + main.read_text())
        ready.before = tree("/etc/postfix", "/etc/popgate")
        done = ready.setup("--apply", code=EX_USAGE)
        assert "Ansible managed" in done.stdout
        assert "generated=edit" in done.stdout
        assert not ready.changed()
        ready.setup("--apply", "--answer", "generated=edit", "--answer",
                    "trial=skip")
        assert ready.changed()

    def test_git(self, ready):
        (ready.etc / ".git").mkdir()
        assert "/etc/postfix): commit the change there yourself" in \
            ready.setup().stdout

    def test_no_namespaces(self, ready):
        """Root that may not make any: the trial can't be run."""
        def without(*args, code):
            done = subprocess.run(
                ["setpriv", "--bounding-set=-sys_admin", CTL, "setup", *args],
                capture_output=True, text=True)
            assert done.returncode == code, done
            return done
        done = without("--apply", code=EX_USAGE)
        assert "can't be tried on a private copy" in done.stdout
        assert not ready.changed()
        without("--apply", "--answer", "trial=skip", code=0)
        assert ready.changed()


class TestRefused:
    """Clear words, an exit status, and nothing is changed."""

    def refused(self, stock, *args, code, words, **popen):
        before = tree("/etc")
        done = stock.setup(*args, code=code, **popen)
        assert re.search(words, done.stdout + done.stderr), done
        assert tree("/etc") == before

    def test_command_line(self, ready):
        for args, code, words in (
                (("--mta", "qmail"), EX_USAGE, "expected postfix, sendmail"),
                (("--config-dir", "/nowhere"), EX_NOINPUT, "nothing of that"),
                (("--undo", "--apply"), EX_USAGE, "takes no other option"),
                (("--apply", "--answer", "x"), EX_USAGE, "key=value")):
            self.refused(ready, *args, code=code, words=words)

    def test_not_root(self, ready):
        for args in (["--apply"], ["--undo"]):
            self.refused(ready, *args, code=EX_NOPERM, words="needs root",
                         user=65534, group=65534, extra_groups=[])

    def test_configurations(self, ready):
        main = ready.etc / "main.cf"
        good = main.read_text()
        main.write_text(good + "smtpd_milters = ${unclosed\n")
        self.refused(ready, "--apply", code=EX_CONFIG,
                     words="Postfix itself refuses")
        main.write_text(good)
        CONF.write_text("relay: { mode = \"maybe\"; };\n")
        self.refused(ready, "--apply", code=EX_CONFIG,
                     words=f"{CONF}:1: relay.mode: expected")

    def test_taken(self, ready):
        with socket.create_server(("127.0.0.1", 8891)):
            CONF.write_text('milter: { listen = "inet:127.0.0.1:8891"; };\n')
            self.refused(ready, "--apply", code=EX_UNAVAILABLE,
                         words=r"milter.listen = .* is in use")

    def test_two_popgates(self, ready):
        other = pathlib.Path("/run/other")
        other.mkdir()
        shutil.copy(BUILD / "popgate-milter", other)
        (other / "conf").write_text(
            f'milter: {{ listen = "unix:{other}/m.sock"; user = "root"; '
            f'status = "unix:{other}/s.sock"; }};\n'
            f'audit: {{ database = "{other}/audit.db"; }};\n'
            f'logins: {{ database = "{other}/logins.db"; }};\n')
        child = subprocess.Popen([other / "popgate-milter", "-c",
                                  other / "conf"], stderr=subprocess.DEVNULL)
        try:
            wait_for((other / "s.sock").exists, "the other one")
            self.refused(ready, "--apply", code=EX_CONFIG,
                         words="another popgate runs")
        finally:
            child.kill()
            child.wait()

    def test_no_start(self, ready):
        """A milter that can't start: nothing stays."""
        os.mkdir("/run/popgate")
        namespace.mount("tmpfs", "/run/popgate", "tmpfs", MS_RDONLY)
        before = tree("/etc/postfix", "/etc/popgate")
        done = ready.setup("--apply", "--answer", "trial=skip", code=EX_IOERR)
        assert "Read-only file system" in done.stderr
        assert tree("/etc/postfix", "/etc/popgate") == before
        assert not daemon("popgate-collector")

    def test_a_link(self, ready):
        """What stands at our directory's name, and is none, stays as it is."""
        elsewhere = pathlib.Path("/run/elsewhere")
        elsewhere.mkdir(0o700)
        os.symlink(elsewhere, "/run/popgate")
        before = tree("/etc/postfix", "/etc/popgate")
        done = ready.setup("--apply", "--answer", "trial=skip", code=EX_IOERR)
        assert "/run/popgate: " in done.stderr
        assert tree("/etc/postfix", "/etc/popgate") == before
        assert (elsewhere.stat().st_mode & 0o7777, elsewhere.stat().st_uid) \
            == (0o700, 0)

    def test_not_reached(self, ready):
        """Sockets that Postfix may not use: the proof fails, all goes back."""
        ready.start()
        main = ready.etc / "main.cf"
        CONF.write_text('milter: { group = "root"; };\n')
        before = tree("/etc/postfix", "/etc/popgate")
        done = ready.setup("--apply", "--answer", "trial=skip", code=None)
        assert done.returncode not in (0, 1), done
        assert "doesn't reach popgate" in done.stderr
        assert "It is all put back" in done.stdout
        assert tree("/etc/postfix", "/etc/popgate") == before
        assert own(ready).code == 250 and relay(ready, STRANGER).code == 454
        assert not daemon("popgate-milter") and main.exists()
