# SPDX-License-Identifier: ISC
"""A directory with a popgate.conf, a log and databases of its own, and the
programs that run on it: for all that needs no mail server."""
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import time

import pytest

from .process import PATIENCE, wait_for
from .site import BUILD, TOP

CTL = BUILD / "popgatectl"
COLLECTOR = BUILD / "popgate-collector"
MILTER = BUILD / "popgate-milter"

EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_NOPERM = 64, 65, 66, 77
EX_CONFIG, EX_TEMPFAIL, EX_UNAVAILABLE, EX_IOERR = 78, 75, 69, 74

# Characters that a terminal would act on, and a name that is made of them.
HARMFUL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]")
HOSTILE = "evil\x1b[31mred\x07\u202ename"

is_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NOISE = "mail postfix/smtpd[11]: connect from x.example.net[203.0.113.9]\n"


def confined(program):
    """A daemon under the system-call filter of its unit, whoever starts it."""
    unit = TOP / f"etc/systemd/{program.name}.service"
    return [BUILD / "system/confined", unit, program] if unit.exists() \
        else [program]


def stamp(at=None):
    return time.strftime("%b %e %H:%M:%S", time.localtime(at))


def login(ip, user="alice", at=None, head=None):
    """Dovecot's line of a login."""
    head = f"{stamp(at)} mail " if head is None else head
    return (f"{head}dovecot: imap-login: Login: user=<{user}>, method=PLAIN, "
            f"rip={ip}, lip=198.51.100.5, mpid=4242, TLS, session=<aBcD>\n")


def lines(text):
    return text.splitlines()


def jsons(text):
    return [json.loads(line) for line in text.splitlines()]


def makemap():
    for path in ("/usr/sbin/makemap",
                 TOP / "build/sendmail/usr/libexec/sendmail/makemap"):
        if os.path.exists(path):
            return str(path)
    pytest.skip("makemap(8) is not here")


class Box:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.conf = self.path / "popgate.conf"
        self.log = self.path / "mail.log"
        self.logins = self.path / "logins.db"
        self.audit = self.path / "audit.db"
        self.daemons = []
        self.configure()

    def configure(self):
        """Write self.conf; each kind of box has its own settings."""
        raise NotImplementedError

    # --- daemons ---

    def stderr(self, program):
        return self.path / f"{program.name}.err"

    def said(self, program=COLLECTOR):
        """All that the daemons of this program wrote to standard error."""
        path = self.stderr(program)
        return path.read_text() if path.exists() else ""

    def launch(self, program, *args, **popen):
        with self.stderr(program).open("ab") as err:
            daemon = subprocess.Popen(
                [*confined(program), "-c", self.conf, *args],
                **{"stdin": subprocess.DEVNULL,
                   "stdout": subprocess.DEVNULL, "stderr": err, **popen})
        self.daemons.append(daemon)
        return daemon

    def stop(self, daemon, code=0):
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(PATIENCE) == code, self.said()

    def close(self):
        """Leave nothing running, whatever happened in the test."""
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
            daemon.wait()

    # --- the log and the databases ---

    def write(self, text):
        with self.log.open("a", encoding="utf-8") as log:
            log.write(text)

    def query(self, sql, *args, database=None):
        """Rows; none of a database that isn't there or isn't ready."""
        database = database or self.logins
        if not database.exists():
            return []
        db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        try:
            return db.execute(sql, args).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            db.close()

    def clients(self):
        return {row[0] for row in self.query("SELECT client FROM login")}

    def active(self):
        """The clients that may relay now."""
        now = int(time.time())
        return {client for client, expires_at in
                self.query("SELECT client, expires_at FROM login")
                if expires_at > now}

    # --- popgatectl ---

    def run(self, *args, program="popgatectl", code=0, config=True, **kw):
        """popgatectl, or it by another name; code None: any exit status."""
        exe = self.path / program
        if not os.path.lexists(exe):
            exe.symlink_to(CTL)
        words = [exe] + (["-c", self.conf] if config else []) + list(args)
        done = subprocess.run(
            words, **{"capture_output": True, "text": True, "timeout": 120,
                      "env": {**os.environ, "TZ": "UTC",
                              "LC_ALL": "C.UTF-8"}, **kw})
        assert code is None or done.returncode == code, done
        assert not HARMFUL.search(done.stdout + done.stderr), done
        return done

    def out(self, *args, **kw):
        return self.run(*args, **kw).stdout

    def err(self, *args, **kw):
        done = self.run(*args, **kw)
        assert done.stderr.startswith(kw.get("program", "popgatectl") + ": ")
        return done.stderr

    def vsm(self, *args, **kw):
        return self.run(*args, program="vsmtprelay", **kw).stdout


class CollectorBox(Box):
    """For popgate-collector, that reads one log or what a test names."""

    def configure(self, sources=None, relay="never_authorize = [ ];",
                  collector="", grace="4s"):
        sources = sources or f'{{ file = "{self.log}"; }}'
        if 'user = "' not in collector:
            collector += ' user = "root";'
        self.conf.write_text(
            f'logins: {{ database = "{self.logins}"; }};\n'
            f'relay: {{ collector_grace = "{grace}"; {relay} }};\n'
            f"collector: {{ sources = ( {sources} ); {collector} }};\n")

    def start(self, *args, wait="started", **popen):
        daemon = self.launch(COLLECTOR, *args, **popen)
        if wait:
            wait_for(lambda: f"[{daemon.pid}]: {wait}" in self.said(),
                     self.said)
        return daemon

    def counts(self):
        return {(server, reason): n for server, reason, n in
                self.query("SELECT server, reason, lines FROM source_count")}

    def source(self):
        return dict(zip(
            ("name", "inode", "position", "fingerprint", "read_at",
             "line_at"), self.query("SELECT * FROM source")[0]))


class CtlBox(Box):
    """For popgatectl, with tables that popgatectl itself makes, or the SQL of
    sql/, as the daemons do."""

    def configure(self, relay="", logins=""):
        # the machine that runs the test may own an address of the tests
        if "never_authorize" not in relay:
            relay += ' never_authorize = [ "127.0.0.0/8", "::1" ];'
        self.conf.write_text(f"""
logins: {{ database = "{self.logins}"; {logins} }};
audit: {{ database = "{self.audit}"; }};
milter: {{ user = "root"; listen = "unix:{self.path}/milter.sock";
          status = "unix:{self.path}/status.sock"; }};
permit: {{ policy = "unix:{self.path}/policy.sock";
          socketmap = "unix:{self.path}/socketmap.sock"; }};
relay: {{ local_domains = [ "example.com", ".example.org" ]; {relay} }};
collector: {{ user = "root"; sources = ( {{ file = "{self.log}"; }} );
             status = "unix:{self.path}/collector.sock"; }};
""")

    def sql(self, database, steps):
        db = sqlite3.connect(database)
        if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            db.execute("PRAGMA journal_mode = WAL")
            files = sorted((TOP / "sql").glob(steps + "-0*.sql"))
            for n, name in enumerate(files, 1):
                db.executescript(name.read_text())
                db.execute("PRAGMA user_version = %d" % n)
        return db

    def fill_logins(self, rows=(), sources=True):
        """rows: (client, user, last_at, expires_at) relative to now"""
        now = int(time.time())
        with self.sql(self.logins, "logins") as db:
            for client, user, last, until in rows:
                line = "Login: user=<%s>, rip=%s" % (user, client)
                db.execute("INSERT INTO login VALUES (?,?,'imap','dovecot',"
                           "?,?,?,3)", (client, user, now + last - 60,
                                        now + last, now + until))
                db.execute("INSERT INTO login_event (at, client, user, "
                           "service, server, source, position, line) VALUES "
                           "(?,?,?,'imap','dovecot',?,77,?)",
                           (now + last, client, user, f"file:{self.log}",
                            line))
            if sources:
                db.execute("INSERT OR REPLACE INTO source (name, inode, "
                           "position, fingerprint, read_at, line_at) "
                           "VALUES (?,0,0,'',?,?)", (f"file:{self.log}", now, now))
        db.close()

    def fill_audit(self, rows):
        now = time.time()
        with self.sql(self.audit, "audit") as db:
            for n, row in enumerate(rows):
                r = {"at": -10, "queue_id": None, "client": "192.0.2.1",
                     "sender": "a@example.com", "recipient": "<b@far.test>",
                     "verdict": "accept", "reason": "recent-login",
                     "auth_user": None, "login_user": None, "rule": 10,
                     "reply": None, "session": "s%d" % n, **row}
                r["at"] = int((now + r["at"]) * 1000)
                db.execute("""INSERT INTO channel_decision (at, session, queue_id,
                    client, client_name, helo, sender, recipient, class,
                    verdict, reason, auth_user, login_user, login_at, rule,
                    reply, channel, mta) VALUES (:at, :session, :queue_id,
                    :client, 'name.test', :helo, :sender, :recipient,
                    'relay', :verdict, :reason, :auth_user, :login_user,
                    NULL, :rule, :reply, 'milter', 'Postfix 3.7.11')""",
                           {"helo": HOSTILE, **r})
        db.close()

    def breach(self, kind, subject, until=3000,
               setting="client_recipients"):
        now = time.time()
        with self.sql(self.audit, "audit") as db:
            db.execute("INSERT INTO breach (at, kind, subject, setting, allowed, "
                       "client, user, sender, denied_until) VALUES (?,?,?,?,"
                       "'3/1h','192.0.2.1',?,'a@b',?)",
                       (int(now * 1000), kind, subject, setting, HOSTILE,
                        until and int(now) + until))
        db.close()
