# SPDX-License-Identifier: ISC
"""popgatectl watch in a real terminal, which is tmux's: keys go in, and what
stands on the screen comes out."""
import os
import pathlib
import pty
import re
import select
import signal
import sqlite3
import subprocess
import termios

import pytest

from lab.box import CTL, HARMFUL, HOSTILE, jsons
from lab.process import wait_for

# says how it ended, and what became of the terminal
SHELL = """
trap : INT
"$@"
echo "rc=$?"
stty -a | grep -wo -e '-*echo' -e '-*icanon' | tr '\\n' ' '
exec cat
"""


class Terminal:
    """tmux with one window, where a program runs."""

    def __init__(self, path, width=110, height=30):
        self.base = ["tmux", "-u", "-S", path / "tmux.sock", "-f", "/dev/null"]
        self.env = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8",
                    "TERM": "xterm"}
        self.size = ["-x", str(width), "-y", str(height)]

    def tmux(self, *words):
        return subprocess.run([*self.base, *words], env=self.env, timeout=120,
                              capture_output=True, text=True, check=True).stdout

    def start(self, *words):
        self.tmux("new-session", "-d", *self.size, "sh", "-c", SHELL, "sh",
                  *map(str, words))

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def shown(self):
        return self.tmux("capture-pane", "-p")

    def found(self, text):
        """A command with a long path goes on in the next line."""
        shown = self.shown()
        return re.search(text, shown) or re.search(text,
                                                   shown.replace("\n", ""))

    def wait(self, text, gone=None):
        wait_for(lambda: self.found(text) and
                 not (gone and re.search(gone, self.shown())), self.shown)
        assert not HARMFUL.search(self.shown())
        return self.shown()

    def pid(self):
        """Of popgatectl: the shell's child."""
        shell = self.tmux("display", "-p", "#{pane_pid}").strip()
        with open(f"/proc/{shell}/task/{shell}/children") as children:
            return int(children.read().split()[0])

    def close(self):
        subprocess.run([*self.base, "kill-server"], env=self.env, timeout=120,
                       capture_output=True, check=False)


@pytest.fixture
def terminal(tmp_path):
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


def change(box, sql):
    db = sqlite3.connect(box.audit)
    with db:
        db.execute(sql)
    db.close()


@pytest.fixture
def filled(box):
    box.fill_logins([("192.0.2.1", "alice", -5, 900)])
    box.fill_audit(
        [{"client": "192.0.2.9", "verdict": "reject", "reason": "no-login",
          "sender": HOSTILE + "@x.test", "recipient": HOSTILE}] +
        [{"login_user": "alice", "recipient": "<bob@far.test>"}] * 3)
    box.breach("user", "mallory")
    return box


def test_live(filled, terminal):
    box = filled
    terminal.start(CTL, "-c", box.conf, "watch", "--interval", "1s")
    text = terminal.wait("Last 10 min: 3 relayed, 1 refused, 0 put off")
    assert "evil\\x1b[31mred" in text
    assert re.search(r"^user +alice +3 +0 +1 ", text, re.M)
    assert re.search(r"^denied user +mallory +over limits\.", text, re.M)
    assert "popgate-milter: " in text and "popgate-collector: " in text

    # what comes is seen, and what changes in a row that is there: the milter's
    # row stands for the permit channel's, repeated refusals are counted
    box.fill_audit([{"client": "192.0.2.2", "login_user": "carol"}])
    terminal.wait("4 relayed.*(?s:.*)carol")
    change(box, "UPDATE channel_decision SET count = 0 WHERE id = 5")
    terminal.wait("3 relayed", gone="carol")
    change(box, "UPDATE channel_decision SET count = 41 WHERE id = 1")
    terminal.wait("41 refused(?s:.*)refused +41 no-login")
    box.audit.rename(box.path / "old.db")
    box.fill_audit([{"client": "192.0.2.3", "login_user": "dora"}])
    terminal.wait("1 relayed, 0 refused(?s:.*)dora", gone="alice")

    # keys
    terminal.keys("/", "n", "o", "n", "e", "Enter")
    terminal.wait("Nothing matches")
    terminal.keys("Escape")
    terminal.wait("192.0.2.3")
    terminal.keys("Enter")
    terminal.wait("192.0.2.3 may not relay now")
    terminal.keys("q")
    terminal.wait("q quit")
    terminal.keys("d")
    terminal.wait("popgatectl .*deny '192.0.2.3' --reason spam")
    terminal.keys("Down", "Escape")
    terminal.wait("q quit")
    terminal.keys("?")
    terminal.wait("Ctrl-C")
    terminal.keys("Escape")
    terminal.keys("Space")
    terminal.wait("PAUSED")
    terminal.tmux("resize-window", "-x", "60", "-y", "12")
    terminal.wait("PAUSED", gone="SENDS MOST|REASON")
    terminal.tmux("resize-window", "-x", "140", "-y", "40")
    terminal.wait("SENDS MOST(?s:.*)SENDER ")
    os.kill(terminal.pid(), signal.SIGTSTP)
    terminal.wait("", gone="SENDS MOST")
    os.kill(terminal.pid(), signal.SIGCONT)
    terminal.wait("SENDS MOST")
    assert box.query("SELECT * FROM deny") == []    # nothing was run

    terminal.keys("q")
    text = terminal.wait("rc=0(?s:.*)icanon")
    assert "deny '192.0.2.3'" in text and "SENDS MOST" not in text
    assert "-echo" not in text and "-icanon" not in text


@pytest.mark.parametrize("end, code", [
    ("C-c", 0), (signal.SIGTERM, 0), (signal.SIGABRT, 134),
    (signal.SIGSEGV, 139)], ids=str)
def test_the_terminal_is_given_back(filled, terminal, end, code):
    terminal.start(CTL, "-c", filled.conf, "watch")
    terminal.wait("SENDS MOST")
    if isinstance(end, str):
        terminal.keys(end)
    else:
        os.kill(terminal.pid(), end)
    text = terminal.wait(f"rc={code}(?s:.*)icanon", gone="SENDS MOST")
    assert "-echo" not in text and "-icanon" not in text
    assert terminal.tmux("display", "-p",
                         "#{alternate_on}#{cursor_flag}#{wrap_flag}"
                         ).strip() == "011"


def test_nobody_is_there_any_more(filled, terminal):
    terminal.start(CTL, "-c", filled.conf, "watch")
    terminal.wait("SENDS MOST")
    pid = terminal.pid()
    terminal.close()
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"))


def test_a_terminal_that_takes_nothing(filled):
    """Ctrl-S, or a line that is dead: SIGTERM ends it all the same."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (200, 400))
    filled.fill_audit([{"sender": "x" * 300}] * 200)
    child = subprocess.Popen([CTL, "-c", filled.conf, "watch"], stdin=slave,
                             stdout=slave, env={**os.environ, "TERM": "xterm"})
    stat = pathlib.Path(f"/proc/{child.pid}/stat")
    wait_for(lambda: select.select([master], [], [], 0)[0] and
             stat.read_text().split(") ")[1][0] == "S")
    child.send_signal(signal.SIGTERM)
    assert child.wait(120) == 0
    assert termios.tcgetattr(slave)[3] & termios.ECHO
    sent = b""
    while select.select([master], [], [], 0)[0]:
        sent += os.read(master, 1 << 20)
    assert sent.endswith(b"\x1b[?1049l"), sent[-60:]
    assert b"q quit" not in sent        # the end of the screen: it did wait
    os.close(slave)
    os.close(master)


def test_once(filled):
    filled.fill_audit([{"reply": "aborted"}, {"verdict": "would-reject"},
                       {"verdict": "tempfail", "reason": "rate-limited"}])
    change(filled, "UPDATE channel_decision SET count = 0, "
           "channel = 'policy' WHERE id = 2")
    text = filled.out("watch", "--once")
    assert ("Last 10 min: 2 relayed, 1 refused, 1 put off, 1 aborted, "
            "1 monitored\n") in text
    stats = jsons(filled.out("stats", "--by", "client", "--json"))
    for name, told in (("accepted", 2), ("rejected", 1), ("tempfailed", 1),
                       ("aborted", 1), ("would_refuse", 1)):
        assert sum(row[name] for row in stats) == told
    assert "q quit" not in text and not re.search(" $", text, re.M)
    filled.configure(relay='never_authorize = [ ]; }; limits: { '
                     'user_recipients = "4/1h"; client_recipients = "off";')
    assert re.search(r"^50 % +user +alice +user_recipients 2 of 4/1h by logins$",
                     filled.out("watch", "--once"), re.M)
    assert "use --once" in filled.err("watch", code=64)
    assert "1s to 1h" in filled.err("watch", "--interval", "0s", code=64)
    assert "not a duration" in filled.err("watch", "--interval", "x", code=64)
