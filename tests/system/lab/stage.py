# SPDX-License-Identifier: ISC
"""A private copy of a mail server (ctl/stage/), and a mail server's files that
are only there to be copied."""
import hashlib
import json
import os
import pathlib
import pwd
import subprocess

from .proc import entries, text
from .process import PATIENCE, need, wait_for
from .site import BUILD

SHELL = BUILD / "system/stage_shell"

MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = {root}/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.example.org
mydestination = example.org, localhost
local_recipient_maps =
inet_interfaces = all
mynetworks = 127.0.0.0/8
mynetworks_style = host
alias_maps =
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated,
    check_policy_service {{ unix:popgate/policy.sock, default_action=DUNNO }},
    reject_unauth_destination
smtpd_milters = unix:popgate/milter.sock
smtpd_data_restrictions = check_policy_service unix:popgate/policy.sock
{more}
"""

CONFIG = """\
milter: {{ listen = "unix:{root}/queue/popgate/milter.sock"; }};
permit: {{ policy = "unix:{root}/queue/popgate/policy.sock"; }};
relay: {{ local_domains = [ "postfix:{root}/etc" ]; }};
"""


# Debian 13's replaces what is stale in the queue directory's etc, which is for
# services in a chroot.
SCRIPT = """\
#!/bin/sh -e
(cd "$queue_directory/etc"
for f in *; do cp -p "$f" "$f.tmp" && mv "$f.tmp" "$f"; done)
exec /usr/lib/postfix/sbin/postfix-script "$@"
"""


class Installed:
    """Files of a Postfix that isn't running, with mail in its queue."""

    def __init__(self, path, more="", services="", replace=()):
        """services: behind the stock master.cf.  replace: (old, new) in it."""
        self.root = pathlib.Path(path)
        self.etc = self.root / "etc"
        for name in ("etc", "queue", "data", "sbin"):
            (self.root / name).mkdir()
        self.root.chmod(0o755)
        for program in pathlib.Path("/usr/lib/postfix/sbin").iterdir():
            (self.root / "sbin" / program.name).symlink_to(program)
        script = self.root / "sbin/postfix-script"
        script.unlink()
        script.write_text(SCRIPT)
        script.chmod(0o755)
        postfix = pwd.getpwnam("postfix").pw_uid
        os.chown(self.root / "data", postfix, -1)
        for name in ("deferred", "active", "private", "etc"):
            (self.root / "queue" / name).mkdir(mode=0o700)
            os.chown(self.root / "queue" / name, postfix, -1)
        (self.root / "queue/etc").chmod(0o755)
        (self.root / "queue/etc/resolv.conf").write_text(
            "nameserver 203.0.113.1\n")
        (self.root / "queue/deferred/ABCDEF").write_text("a mail of somebody")
        (self.root / "data/verify_cache.db").write_text("what was learnt")
        (self.etc / "main.cf").write_text(
            MAIN.format(root=self.root, more=more))
        stock = pathlib.Path(need(
            "/usr/lib/postfix/sbin/master", "postfix")) and pathlib.Path(
            "/usr/share/postfix/master.cf.dist").read_text()
        for old, new in replace:
            assert old in stock, old
            stock = stock.replace(old, new, 1)
        (self.etc / "master.cf").write_text(stock + services)
        self.conf = self.root / "popgate.conf"
        self.conf.write_text(CONFIG.format(root=self.root))

    def snapshot(self):
        """Everything there is to know of every file."""
        return {path: (path.lstat().st_mode, path.lstat().st_uid,
                       path.lstat().st_gid, path.lstat().st_mtime_ns,
                       path.lstat().st_ino,
                       hashlib.sha256(path.read_bytes()).hexdigest()
                       if path.is_file() else "")
                for path in [self.root, *self.root.rglob("*")]}


class Stage:
    """stage_shell: each method is one line to it, and one answer."""

    def __init__(self, directory, conf, *commands, mta="postfix", **popen):
        self.child = subprocess.Popen(
            [SHELL, mta, directory, conf or "-",
             *("\t".join(map(str, command)) for command in commands)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            **{"env": {**os.environ,
                       "STAGE_MILTER": str(BUILD / "popgate-milter")},
               **popen})
        self.opened = self.answer()
        self.members = descendants(self.child.pid)

    def answer(self):
        line = self.child.stdout.readline()
        return json.loads(line) if line else {"error": "no answer"}

    def ask(self, *words):
        self.child.stdin.write("\t".join(map(str, words)) + "\n")
        self.child.stdin.flush()
        answer = self.answer()
        assert "error" not in answer, answer
        return answer

    def complain(self, *words):
        """The error that is expected."""
        self.child.stdin.write("\t".join(map(str, words)) + "\n")
        self.child.stdin.flush()
        return self.answer()["error"]

    def say(self, client, service, recipient, *auth,
            sender="someone@elsewhere.test"):
        answer = self.ask("say", client, service, sender, recipient, *auth)
        return answer["code"], answer["text"]

    def login(self, client):
        self.ask("login", client)

    def popgate(self, up):
        self.ask("popgate", "up" if up else "down")

    def decisions(self, least):
        return self.ask("decisions", least)["decisions"]

    def asked(self, address):
        return self.ask("asked", address)["asked"]

    def log(self):
        return self.ask("log", )["log"]

    def run(self, *words):
        return self.ask("run", *words)["output"]

    def close(self):
        self.child.stdin.close()
        assert self.child.wait(PATIENCE) == 0
        self.child.stdout.close()

    def __enter__(self):
        assert self.opened == {}, self.opened
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.close()

    def wait_gone(self):
        wait_for(lambda: not alive(self.members),
                 lambda: f"the end of {alive(self.members)}")


def descendants(pid):
    """{(pid, when it began)} of all that a process has started."""
    found = set()
    for task in entries(pid, "task"):
        for child in text(pid, f"task/{task}/children").split():
            found |= {(int(child), began(child)), *descendants(child)}
    return found


def began(pid):
    fields = text(pid, "stat").rpartition(")")[2].split()
    return None if not fields or fields[0] == "Z" else fields[19]


def alive(members):
    return [pid for pid, start in members if began(pid) == start]
