# SPDX-License-Identifier: ISC
"""Questions of popgatectl setup, and cases that it doesn't begin with: clear
words, an exit status, and nothing is changed."""
import os
import pathlib
import re
import shutil
import socket
import subprocess

from lab import namespace
from lab.box import (EX_CONFIG, EX_IOERR, EX_NOINPUT, EX_NOPERM,
                     EX_UNAVAILABLE, EX_USAGE)
from lab.process import unprivileged, wait_for
from lab.site import BUILD
from lab.stock import CONF, CTL, daemon, own, relay, tree

MS_RDONLY = 1
STRANGER = "203.0.113.9"


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
                         **unprivileged(CTL))

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

    def test_sockets_in_the_chroot(self, ready):
        """Where smtpd can't leave its chroot, the sockets go below the queue
        directory: a directory that lacks, or that isn't popgate's, is named, and
        with it all works."""
        queue = "/var/spool/postfix"
        CONF.write_text(
            f'milter: {{ listen = "unix:{queue}/popgate/milter.sock"; }};\n'
            f'permit: {{ policy = "unix:{queue}/popgate/policy.sock"; }};\n')
        command = f"install -d -o popgate -g postfix -m 2755 {queue}/popgate"
        self.refused(ready, "--apply", code=EX_CONFIG, words=command)
        os.mkdir(f"{queue}/popgate")
        self.refused(ready, "--apply", code=EX_CONFIG,
                     words=f"{command}/popgate, and name the socket below")
        subprocess.run(command, shell=True, check=True)
        ready.start()
        done = ready.setup("--apply", "--answer", "trial=skip").stdout
        assert "a client with a login relays at smtp/inet: 250" in done
        assert "unix:popgate/policy.sock" in (ready.etc / "main.cf").read_text()
        assert not re.search(r"(?m)^smtp +inet +n +- +n ",
                             (ready.etc / "master.cf").read_text())

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
        """A name of our directory that is something else stays as it is."""
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
        assert "Putting all of it back" in done.stdout
        assert tree("/etc/postfix", "/etc/popgate") == before
        assert own(ready).code == 250 and relay(ready, STRANGER).code == 454
        assert not daemon("popgate-milter") and main.exists()
