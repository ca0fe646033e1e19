# SPDX-License-Identifier: ISC
"""popgatectl setup where something is in its way: other people's programs and
processes, files that end or change as nobody expects, settings and a journal
that are damaged, a trial that is ended."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest

from lab.box import EX_DATAERR, EX_IOERR, EX_TEMPFAIL, EX_USAGE
from lab.proc import named
from lab.process import wait_for
from lab.site import BUILD
from lab.stock import CONF, CTL, JOURNAL, daemon, own, relay, tree

SKIP = ("--apply", "--answer", "trial=skip")
STRANGER = "203.0.113.9"


LMTP = """
import os
import socket
s = socket.socket(socket.AF_UNIX)
s.bind("/var/lib/lmtp.sock")
os.chmod("/var/lib/lmtp.sock", 0o666)
s.listen(5)
print("ready", flush=True)
while True:
    s.accept()
    open("/run/mail", "w").close()
"""


def executable(path, text):
    path.write_text(text)
    path.chmod(0o755)


def mounted():
    """The mounts, as a child sees them, whose process table /proc is of."""
    return subprocess.run(["cat", "/proc/self/mountinfo"], check=True,
                          capture_output=True).stdout


class TestPath:
    def test_a_users_directory(self, ready):
        """Root's $PATH begins with a directory that a user may write: none of
        his programs is run, by none of ours."""
        bin_dir = pathlib.Path("/run/theirs")
        bin_dir.mkdir()
        for name in ("postconf", "postfix", "sh", "ip", "useradd", "usermod",
                     "systemd-sysusers", "doveconf", "sed"):
            executable(bin_dir / name, "#!/bin/sh\necho $0 >>/run/led\n"
                       f"PATH=${{PATH#*:}}; exec {name} \"$@\"\n")
        shutil.chown(bin_dir, "nobody")
        path = {**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}"}
        ready.start()
        ready.setup(*SKIP, env=path)
        ready.setup("--undo", env=path)
        assert not pathlib.Path("/run/led").exists()

    def test_of_cron(self, ready):
        """A $PATH without system programs."""
        ready.start()
        ready.setup(*SKIP, env={**os.environ, "PATH": "/usr/bin:/bin"})
        assert relay(ready, STRANGER).code == 550


class TestFiles:
    def no_end(self, ready):
        """main.cf ends with a setting, master.cf with a comment, and neither
        with a newline."""
        main, master = (ready.etc / name for name in ("main.cf", "master.cf"))
        main.write_text(main.read_text() + "delay_warning_time = 4h")
        master.write_text("smtp inet n - y - - smtpd\n" + re.sub(
            r"(?m)^smtp +inet .*\n", "", master.read_text()) + "# the end")
        # the service that changes is the last one
        lines = master.read_text().split("\n")
        master.write_text("\n".join(lines[1:-1] + [lines[0], lines[-1]]))
        ready.before = tree("/etc/postfix", "/etc/popgate")

    def check(self, ready):
        def postconf(*args):
            return subprocess.run(["postconf", *args], text=True, check=True,
                                  capture_output=True).stdout
        assert postconf("-h", "delay_warning_time") == "4h\n"
        assert "popgate" in postconf("-xh", "smtpd_milters")
        assert len(postconf("-M", "smtp/inet").splitlines()) == 1
        assert (ready.etc / "master.cf").read_text().count("# the end") == 1

    def test_no_end_of_line(self, ready):
        self.no_end(ready)
        ready.start()
        ready.setup(*SKIP)
        self.check(ready)
        assert relay(ready, STRANGER).code == 550
        assert own(ready).code == 250
        ready.setup("--undo")
        assert not ready.changed()

    def test_no_end_of_line_by_hand(self, ready):
        """The same by the commands that are printed."""
        self.no_end(ready)
        CONF.write_text(
            'relay: { local_domains = [ "lab.test" ]; };\n'
            'permit: { policy = "unix:/run/popgate/policy.sock"; };\n')
        commands = subprocess.run([CTL, "wiring", "postfix"], text=True,
                                  check=True, capture_output=True).stdout
        subprocess.run(["sh", "-e"], input=commands.replace(
            "postfix reload", "true"), text=True, check=True,
            capture_output=True)
        self.check(ready)

    def test_a_change_meanwhile(self, ready):
        """The admin saves main.cf between our look and our edit."""
        bin_dir = pathlib.Path("/run/slow")
        bin_dir.mkdir()
        executable(bin_dir / "postconf", """#!/bin/sh
case "$*" in *popgate-setup*-e*) grep -q mine /etc/postfix/main.cf ||
    echo '# mine' >>/etc/postfix/main.cf ;; esac
exec /usr/sbin/postconf "$@"
""")
        done = ready.setup(*SKIP, code=EX_TEMPFAIL, env={
            **os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}"})
        assert "isn't what was read a moment ago" in done.stderr
        assert (ready.etc / "main.cf").read_text().endswith("\n# mine\n")
        assert ready.changed() == {"/etc/postfix/main.cf"}

    def test_immutable(self, ready):
        """A file that root itself can't replace: nothing stays of the rest."""
        master = ready.etc / "master.cf"
        copy = pathlib.Path("/run/master.cf")
        shutil.copy2(master, copy)
        subprocess.run(["mount", "--bind", copy, master], check=True)
        done = ready.setup(*SKIP, code=None)
        assert done.returncode not in (0, 1), done
        assert "master.cf" in done.stderr and "Putting all of it back" in done.stdout
        assert not ready.changed() and not daemon("popgate-milter")


    def test_settings_by_a_link(self, ready):
        """popgate.conf is a link: the daemons start with the new settings."""
        real = pathlib.Path("/run/settings.conf")
        real.write_text('relay: { local_domains = [ "other.test" ]; };\n'
                        'permit: { policy = ""; };\n')
        CONF.symlink_to(real)
        before = real.read_text()
        ready.before = tree("/etc/postfix", "/etc/popgate")
        ready.start()
        ready.setup(*SKIP)
        assert 'sources = ( { file = "/var/log/mail.log"; } )' in \
            real.read_text()
        assert CONF.is_symlink() and "policy.sock" in real.read_text()
        assert relay(ready, STRANGER).code == 550
        ready.setup("--undo")
        assert not ready.changed() and real.read_text() == before

    def test_names_beside(self, ready):
        """Files of the admin's that are named after main.cf stay; one that is
        another name of it is told of."""
        mine = [ready.etc / f"main.cf.{end}" for end in (
            "20261130.new", "1.new", "old", "bak")]
        for path in mine:
            path.write_text("mine")
        (ready.etc / "main.cf.mine").hardlink_to(ready.etc / "main.cf")
        ready.before = tree("/etc/postfix", "/etc/popgate")
        assert "main.cf has another name" in ready.setup(*SKIP).stdout
        ready.setup("--undo")
        assert not ready.changed()

    @pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&- >&-", ">&-"])
    def test_closed(self, ready, closed):
        """Started without standard files: what is printed goes into none of
        those that are written."""
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" "$@" {closed}', CTL, "setup", *SKIP])
        assert done.returncode == EX_IOERR
        for path in (CONF, ready.etc / "main.cf", ready.etc / "master.cf"):
            assert "written: " not in path.read_text()
        ready.setup("--undo")
        assert not ready.changed()

    def test_paths(self, ready):
        """Paths that the journal or the daemons couldn't be given."""
        odd = "/run/a\nb"
        shutil.copytree(ready.etc, odd, symlinks=True)
        done = ready.setup(*SKIP, "--config-dir", odd, code=EX_USAGE)
        assert "without control characters" in done.stderr
        done = subprocess.run([CTL, "-c", "new.conf", "setup", *SKIP],
                              capture_output=True, text=True, cwd="/run")
        assert done.returncode == EX_USAGE
        assert "-c new.conf: expected an absolute path" in done.stderr
        assert not ready.changed() and not list(JOURNAL.iterdir())


class TestUndo:
    @pytest.mark.parametrize("text", ["relay: {\n", None])
    def test_without_settings(self, ready, text):
        """popgate.conf is damaged or gone, which may be why."""
        ready.start()
        before = relay(ready, STRANGER)
        ready.setup(*SKIP)
        if text is None:
            CONF.unlink()
        else:
            CONF.write_text(text)
        done = ready.setup("--undo", code=None).stdout
        assert "as before: /etc/postfix/main.cf" in done
        assert ready.changed() == ({str(CONF)} if text else set())
        assert not daemon("popgate-milter")
        assert relay(ready, STRANGER) == before

    def test_damaged_journal(self, ready):
        """It says so, touches nothing, and names the way out."""
        ready.setup(*SKIP)
        manifest = next(JOURNAL.glob("*/manifest"))
        text = manifest.read_text()
        manifest.write_text(text[:len(text) // 2])
        before = tree("/etc/postfix", "/etc/popgate", JOURNAL)
        for args in ((), SKIP, ("--undo",)):
            done = ready.setup(*args, code=EX_DATAERR)
            assert "it is damaged" in done.stderr
            assert f"then move {JOURNAL} away" in done.stderr
        assert tree("/etc/postfix", "/etc/popgate", JOURNAL) == before
        manifest.write_text(text)
        gone = next(JOURNAL.glob("*/6.before"))
        shutil.move(gone, "/run/kept")
        done = ready.setup("--undo", code=1).stdout
        assert f"by hand, then move {gone.parent} away" in done
        shutil.move("/run/kept", gone)
        ready.setup("--undo")
        assert not ready.changed()


class TestProcesses:
    def test_of_a_container(self, ready):
        """A popgate-milter of the same name and settings' path in a process
        table below ours is none of this system."""
        theirs = pathlib.Path("/run/container")
        theirs.mkdir()
        (theirs / "conf").write_text(
            f'milter: {{ listen = "unix:{theirs}/m.sock"; user = "root"; '
            f'status = "unix:{theirs}/s.sock"; }};\n'
            f'permit: {{ policy = ""; }};\n'
            f'audit: {{ database = "{theirs}/audit.db"; }};\n'
            f'logins: {{ database = "{theirs}/logins.db"; }};\n')
        CONF.write_text("")
        child = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh",
             "-c", f"mount --bind {theirs}/conf {CONF} && exec "
             f"{BUILD}/popgate-milter -c {CONF}"], stderr=subprocess.PIPE)
        try:
            wait_for((theirs / "s.sock").exists, "the container's")
            before = named("popgate-milter")
            assert len(before) == 1
            ready.setup(*SKIP)
            assert before < named("popgate-milter")
            ready.setup("--undo")
            assert named("popgate-milter") == before
        finally:
            child.kill()
            child.communicate()

    @pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGKILL])
    def test_trial_is_ended(self, ready, signo):
        """During the trial: at once, nothing is left of the copy, and the
        server that runs has noticed nothing."""
        ready.start()
        pid = pathlib.Path("/var/spool/postfix/pid/master.pid").read_text()
        real = {int(pid)}
        # its parent ends when it has begun
        wait_for(lambda: named("master") == real, "it alone")
        log = pathlib.Path("/var/log/mail.log").read_text()
        mounts = mounted()
        # a run in the background of a shell ignores SIGINT
        child = subprocess.Popen(
            [CTL, "setup", "--apply"], stdout=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        wait_for(lambda: len(named("master")) > len(real), "the copy")
        child.send_signal(signo)
        assert child.wait(10) == -signo
        wait_for(lambda: named("master") == real, "its end")
        wait_for(lambda: not named("popgate-milter"), "its end")
        assert not ready.changed()
        assert mounted() == mounts
        assert pathlib.Path("/var/log/mail.log").read_text() == log
        assert pathlib.Path(
            "/var/spool/postfix/pid/master.pid").read_text() == pid
        assert own(ready).code == 250
        assert "nothing to undo" in ready.setup("--undo").stdout

    def test_mail_stays(self, ready):
        """Postfix tells postmaster of what it refuses, and delivers by a
        socket that the copy sees: nothing of the copy's arrives there."""
        child = subprocess.Popen(
            [sys.executable, "-c", LMTP], stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"ready\n"
        with open(ready.etc / "main.cf", "a") as main:
            main.write("local_transport = lmtp:unix:/var/lib/lmtp.sock\n"
                       "notify_classes = policy, protocol\n")
        master = ready.etc / "master.cf"
        master.write_text(re.sub(r"(?m)^lmtp .*", "lmtp unix - - n - - lmtp",
                                 master.read_text()))
        real = pathlib.Path("/var/lib/main.cf")  # and it is a link
        shutil.move(ready.etc / "main.cf", real)
        (ready.etc / "main.cf").symlink_to(real)
        before = real.read_text()
        try:
            done = ready.setup("--apply").stdout
            assert "Trying it" in done and "Done." in done
            # Postfix doesn't run here: whatever arrives is the copy's
            assert not pathlib.Path("/run/mail").exists()
            ready.setup("--undo")
            assert real.read_text() == before
        finally:
            child.kill()
            child.communicate()

    def test_not_asked(self, ready):
        """Nobody says that it works who hasn't asked."""
        ready.setup(*SKIP)
        done = ready.setup("--apply").stdout
        assert "wasn't asked" in done and "it works." not in done
