# SPDX-License-Identifier: ISC
"""The programs under test, and what they wrote."""
import contextlib
import grp
import json
import os
import pwd
import socket
import sqlite3
import subprocess

from .process import PATIENCE, Process, need, wait_for
from .site import BUILD

CONFIG = """\
logins:    {{ database = "{data}/logins.db"; window = "{window}";
             {logins} }};
audit:     {{ database = "{data}/audit.db"; record = "all"; {audit} }};
milter:    {{ listen = "unix:{sockets}/milter.sock"; {group}
             mode = "0660"; {milter_user}
             status = "unix:{sockets}/status.sock";
             {sessions} }};
permit:    {{ policy = "unix:{sockets}/policy.sock";
             socketmap = "unix:{sockets}/socketmap.sock"; }};
relay:     {{ local_domains = [ {domains} ];
             never_authorize = [ {never} ]; trusted_networks = [ {trusted} ];
             collector_grace = "{grace}"; {relay} }};
limits:    {{ {limits} }};
collector: {{ sources = ( {sources} ); {collector_user}
             status = "unix:{data}/collector.sock"; }};
metrics:   {{ milter = "unix:{sockets}/metrics.sock";
             collector = "unix:{data}/metrics.sock"; }};
{share}
"""


@contextlib.contextmanager
def as_owner(path):
    """Not as root: with fs.protected_regular=2, Debian's default, a plain SQLite
    of root's may not write what others own in a directory with the sticky bit."""
    stat = path.stat()
    os.setegid(stat.st_gid)
    os.seteuid(stat.st_uid)
    try:
        yield path
    finally:
        os.seteuid(0)
        os.setegid(0)


class Popgate:
    def __init__(self, site, domains, mta_group="postfix", window="30m",
                 grace="2m", never=("127.0.0.0/8", "::1"), trusted=(),
                 users=("popgate", "popgate-collector")):
        self.site = site
        self.data = site.root / "popgate"
        self.data.mkdir()
        self.config = site.root / "etc" / "popgate.conf"
        self.settings = dict(
            data=self.data, sockets=site.sockets,
            sources=f'{{ file = "{site.mail_log}"; }}',
            group=f'group = "{mta_group}";', window=window, grace=grace,
            domains=_list(domains), never=_list(never),
            trusted=_list(trusted), relay="", limits="", logins="", audit="",
            share="",
            sessions='drain_timeout = "1s";',
            milter_user=f'user = "{users[0] if users else "root"}";',
            collector_user=f'user = "{users[1] if users else "root"}";')
        self.configure()
        if users:           # as popgate.tmpfiles and the unit do it
            popgate = pwd.getpwnam(users[0])
            os.chown(self.data, pwd.getpwnam(users[1]).pw_uid,
                     popgate.pw_gid)
            self.data.chmod(0o3770)
            os.chown(site.sockets, popgate.pw_uid,
                     grp.getgrnam(mta_group).gr_gid)
            site.sockets.chmod(0o2755)
        self.milter = Process("popgate-milter", [
            need(BUILD / "popgate-milter", "nothing: run make"),
            "-c", self.config, "-l", "stderr"], site.log)
        self.collector = Process("popgate-collector", [
            need(BUILD / "popgate-collector", "nothing: run make"),
            "-c", self.config, "-l", "stderr"], site.log)

    def configure(self, **changes):
        """Write popgate.conf anew; programs started from now on see it."""
        self.config.write_text(CONFIG.format(**{**self.settings, **changes}))

    def start_milter(self):
        self.milter.start()
        for name in ("milter", "policy", "socketmap"):
            self.milter.accepts(self.site.sockets / f"{name}.sock")

    def start_collector(self):
        log = self.collector.log
        before = log.stat().st_size if log.exists() else 0
        self.collector.start().ready(
            lambda: b": started, " in log.read_bytes()[before:], "started")

    def start(self):
        self.start_collector()
        self.start_milter()
        return self

    def ctl(self, *arguments, check=True):
        """popgatectl's output, or its exit status and output."""
        done = subprocess.run(
            [need(BUILD / "popgatectl", "nothing: run make"), "-c",
             self.config, *arguments], capture_output=True, text=True)
        if check:
            assert done.returncode == 0, (arguments, done)
            return done.stdout
        return done

    def health(self):
        """popgate-milter's word on itself."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.site.sockets / "status.sock"))
            s.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: s.recv(65536), b""))
        return json.loads(text.partition(b"\r\n\r\n")[2])

    @contextlib.contextmanager
    def unwritable_audit(self):
        """No decision can be written meanwhile; afterwards all is well."""
        def rename(name, new):
            with as_owner(self.data / "audit.db") as path:
                db = sqlite3.connect(path, timeout=60)
                with db:
                    db.execute(f"ALTER TABLE {name} RENAME TO {new}")
                db.close()
        rename("channel_decision", "gone")
        try:
            yield
        finally:
            rename("gone", "channel_decision")
        wait_for(lambda: self.health()["audit_good"], "the table")

    def counters(self):
        """Counters of popgate-milter, each summed over its labels."""
        sums = dict.fromkeys(
            ("decisions", "decisions_overruled", "recipients_aborted"), 0)
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.site.sockets / "metrics.sock"))
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        for line in text.splitlines():
            name = line.partition("{")[0].partition(" ")[0]
            name = name.removeprefix("popgate_").removesuffix("_total")
            if name in sums and not line.startswith("#"):
                sums[name] += int(float(line.split()[-1]))
        return sums

    def listed(self, client):
        """The entry of a client that may relay, by 'popgatectl list'; or
        None."""
        rows = [json.loads(line) for line in
                self.ctl("list", "--json", "--client", client).splitlines()]
        return rows[0] if rows else None

    def may_relay(self, client):
        """The verdict of 'popgatectl check'."""
        answer = json.loads(self.ctl("check", "--client", client, "--to",
                                     "friend@elsewhere.test", "--json"))
        return answer["verdict"] == "accept"

    def logins(self):
        return self.query("logins.db", "SELECT * FROM login")

    def wait_login(self, client, user=None):
        """Until the collector has committed this client's login."""
        return wait_for(lambda: [row for row in self.logins()
                                 if row["client"] == client and
                                 user in (None, row["user"])],
                        f"the login of {client}")

    def decisions(self, **equal):
        """Rows of the audit, of each channel, oldest first, with these
        values."""
        where = " AND ".join(f"{name} = :{name}" for name in equal) or "1"
        return self.query("audit.db", "SELECT * FROM channel_decision WHERE "
                          f"{where} ORDER BY id", equal)

    def wait_decision(self, seconds=PATIENCE, **equal):
        """The newest row with these values, as soon as it is there."""
        return wait_for(lambda: self.decisions(**equal),
                        f"a decision with {equal}", seconds)[-1]

    def query(self, name, sql, values=()):
        db = sqlite3.connect(f"file:{self.data}/{name}?mode=ro", uri=True,
                             timeout=60)
        try:
            db.row_factory = sqlite3.Row
            return db.execute(sql, values).fetchall()
        finally:
            db.close()


def _list(words):
    return ", ".join(f'"{word}"' for word in words)
