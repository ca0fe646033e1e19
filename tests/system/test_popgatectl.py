"""popgatectl and vsmtprelay on tables good, empty, hostile, foreign, missing.

Needs build/popgatectl only; the tables are made by popgatectl itself and by
the SQL of sql/, as the daemons make them.
"""
import bz2
import csv
import glob
import io
import json
import lzma
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
CTL = os.path.join(os.environ.get("POPGATE_BUILD",
                                  os.path.join(TOP, "build")), "popgatectl")

EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_NOPERM = 64, 65, 66, 77
EX_CONFIG, EX_TEMPFAIL, EX_UNAVAILABLE, EX_IOERR = 78, 75, 69, 74

HOSTILE = "evil\x1b[31mred\x07\u202ename"


class Box:
    """A directory with a configuration, and the programs run on it."""

    def __init__(self, path):
        self.path = str(path)
        self.conf = os.path.join(self.path, "popgate.conf")
        self.logins = os.path.join(self.path, "logins.db")
        self.audit = os.path.join(self.path, "audit.db")
        self.log = os.path.join(self.path, "mail.log")
        self.configure()

    def configure(self, relay="", logins=""):
        # the machine that runs the test may own an address of the tests
        if "never_authorize" not in relay:
            relay += ' never_authorize = [ "127.0.0.0/8", "::1" ];'
        with open(self.conf, "w") as out:
            out.write(f"""
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

    def run(self, *args, program="popgatectl", code=0, config=True, **kw):
        exe = os.path.join(self.path, program)
        if not os.path.lexists(exe):
            os.symlink(CTL, exe)
        words = [exe] + (["-c", self.conf] if config else []) + list(args)
        env = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(words, capture_output=True, text=True,
                              timeout=60, env=env, **kw)
        assert done.returncode == code, (done.returncode, done.stdout,
                                         done.stderr)
        # nothing that a terminal would act on, whoever wrote it
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]",
                             done.stdout + done.stderr), done.stdout
        return done

    def out(self, *args, **kw):
        return self.run(*args, **kw).stdout

    def err(self, *args, **kw):
        done = self.run(*args, **kw)
        assert done.stderr.startswith(kw.get("program", "popgatectl") + ": ")
        return done.stderr

    def vsm(self, *args, **kw):
        return self.run(*args, program="vsmtprelay", **kw).stdout

    def sql(self, database, steps):
        db = sqlite3.connect(database)
        if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            db.execute("PRAGMA journal_mode = WAL")
            files = sorted(glob.glob(os.path.join(TOP, "sql",
                                                  steps + "-0*.sql")))
            for n, name in enumerate(files, 1):
                with open(name) as sql:
                    db.executescript(sql.read())
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
                           (now + last, client, user, "file:" + self.log,
                            line))
            if sources:
                db.execute("INSERT OR REPLACE INTO source (name, inode, "
                           "position, fingerprint, read_at, line_at) "
                           "VALUES (?,0,0,'',?,?)", ("file:" + self.log, now, now))
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
                db.execute("""INSERT INTO decision (at, session, queue_id,
                    client, client_name, helo, sender, recipient, class,
                    verdict, reason, auth_user, login_user, login_at, rule,
                    reply, channel, mta) VALUES (:at, :session, :queue_id,
                    :client, 'name.test', :helo, :sender, :recipient,
                    'relay', :verdict, :reason, :auth_user, :login_user,
                    NULL, :rule, :reply, 'milter', 'Postfix 3.7.11')""",
                           {"helo": HOSTILE, **r})
        db.close()


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


def lines(text):
    return text.splitlines()


def jsons(text):
    return [json.loads(line) for line in text.splitlines()]


# --- the language -----------------------------------------------------------

def test_version_help_and_usage(box):
    assert re.match(r"popgatectl \d+\.\d+", box.out("--version"))
    usage = box.out("--help")
    assert box.out("help") == usage
    for name in re.findall(r"^  ([a-z-]+)  ", usage, re.M):
        if name.startswith("-"):
            continue
        text = box.out("help", name)
        assert text.startswith("usage: popgatectl [-c FILE] " + name)
        if name not in ("help",):
            assert box.out(name, "--help") == text
    assert "usage:" in box.run(code=EX_USAGE).stderr


@pytest.mark.parametrize("typed,meant", [
    ("lst", "list"), ("remove", "delete"), ("dcisions", "decisions"),
    ("blok", "deny"), ("chek-config", "check-config")])
def test_unknown_subcommand_suggests(box, typed, meant):
    assert f"did you mean '{meant}'?" in box.err(typed, code=EX_USAGE)


def test_unknown_subcommand_far_from_all(box):
    assert "see 'popgatectl help'" in box.err("xyzzyxyzzy", code=EX_USAGE)


@pytest.mark.parametrize("args,words", [
    (["add", "10.0.0"], "add: '10.0.0' is not an IP address or network"),
    (["add", "10.0.0.1/8"], "did you mean 10.0.0.0/8?"),
    (["add", "10.0.0.0/33"], "is not an IP address or network"),
    (["add", "0.0.0.0/0"], "open relay"),
    (["add", "::/0"], "open relay"),
    (["add", "192.0.2.1", "--for", "soon"], "is not a duration"),
    (["add", "192.0.2.1", "--until", "2026-02-31"], "is not a time"),
    (["add", "192.0.2.1", "--until", "2001-01-01"], "in the past"),
    (["add", "192.0.2.1", "--for", "1h", "--forever"], "exclude"),
    (["add", "192.0.2.1", "12x"], "is not a number"),
    (["add", "192.0.2.1", "--colour"], "no option '--colour'"),
    (["add", "192.0.2.1", "--user"], "needs USER"),
    (["add", "192.0.2.1", "--forever=1"], "takes no value"),
    (["add"], "usage: popgatectl add"),
    (["list", "--sort", "size"], "can't sort by"),
    (["check", "--to", "a@b.test"], "--client and --to are needed"),
    (["check", "--client", "x", "--to", "a@b.test"], "is not an IP address"),
    (["decisions", "--verdict", "ok"], "not a verdict"),
    (["decisions", "--reason", "ok"], "not a reason"),
    (["decisions", "--since", "yesterday"], "is not a time"),
    (["decisions", "--csv", "--json"], "exclude"),
    (["stats", "--by", "week"], "nothing to count by"),
    (["wiring", "exim"], "expected postfix or sendmail"),
    (["replay", "--reason", "-"], "--reason goes with --each"),
    (["completion", "fish"], "expected bash or zsh"),
    (["export", "--format", "cdb"], "is no format"),
    (["deny", "10.0.0"], "is not an IP address or network"),
    (["list", "\x1b[2J"], "\\x1b[2J"),
])
def test_bad_usage(box, args, words):
    assert words in box.err(*args, code=EX_USAGE)
    assert not os.path.exists(box.logins)


def test_configuration_missing_bad_default(box):
    gone = os.path.join(box.path, "gone.conf")
    assert "No such file" in box.run("-c", gone, "list", config=False,
                                     code=EX_NOINPUT).stderr
    with open(box.conf, "a") as out:
        out.write("relay2: { };\n")
    assert "popgate.conf:" in box.err("list", code=EX_CONFIG)
    box.err("check-config", code=EX_CONFIG)
    # replay judges by the built-in defaults where there is no file
    if not os.path.exists("/etc/popgate/popgate.conf"):
        done = box.run("replay", "--each", "-", config=False, input="x\n")
        assert done.stdout == "ignore\t-\t-\n"


def test_databases_missing(box):
    for args in (["list"], ["dump"], ["export"], ["expire"],
                 ["delete", "192.0.2.1"], ["undeny", "192.0.2.1"],
                 ["decisions"], ["stats"], ["top"], ["spam"],
                 ["dependents"], ["sql"], ["deny", "--list"],
                 ["why", "192.0.2.1"]):
        assert "there is no" in box.err(*args, code=EX_NOINPUT), args
    # policy row 7, and nothing is made by asking
    assert "store-unavailable" in box.out("check", "--client", "192.0.2.1",
                                          "--to", "a@far.test")
    assert not os.path.exists(box.logins)


def test_database_of_a_newer_version(box):
    box.out("add", "192.0.2.1")
    db = sqlite3.connect(box.logins)
    db.execute("PRAGMA user_version = 99")
    db.close()
    for args in (["list"], ["add", "192.0.2.2"]):
        assert "newer than this program" in box.err(*args, code=EX_DATAERR)
    assert "store-unavailable" in box.out("check", "--client", "192.0.2.1",
                                          "--to", "a@far.test")


def test_database_of_rubbish(box):
    with open(box.logins, "wb") as out:
        out.write(b"rubbish" * 1000)
    box.err("list", code=EX_DATAERR)
    assert "store-unavailable" in box.out("check", "--client", "192.0.2.1",
                                          "--to", "a@far.test")


def test_database_locked(box):
    box.out("add", "192.0.2.1")
    db = sqlite3.connect(box.logins, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    # WAL: a writer never keeps readers out
    assert "192.0.2.1" in box.out("list")
    began = time.time()
    assert "lock" in box.err("add", "192.0.2.2", code=EX_TEMPFAIL)
    assert 5 < time.time() - began < 120
    db.execute("ROLLBACK")
    box.out("add", "192.0.2.2")


def test_output_that_cannot_be_written(box):
    box.out("add", "192.0.2.1")
    with open("/dev/full", "w") as full:
        done = subprocess.run([CTL, "-c", box.conf, "list"], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 74
    assert "can't be written" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_unprivileged_reader_and_writer():
    with tempfile.TemporaryDirectory() as path:
        unprivileged(Box(path))


def unprivileged(box):
    box.out("add", "192.0.2.1")
    box.fill_audit([{}])
    for path, mode in ((box.path, 0o755), (box.logins, 0o644),
                       (box.logins + "-shm", 0o644),
                       (box.logins + "-wal", 0o644), (box.conf, 0o644)):
        os.chmod(path, mode)

    def as_nobody(*args):
        return subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
             CTL, "-c", box.conf, *args], capture_output=True, text=True)
    assert "192.0.2.1" in as_nobody("list").stdout
    done = as_nobody("add", "192.0.2.9")
    assert done.returncode == EX_NOPERM
    assert "needs root" in done.stderr
    os.chmod(box.logins, 0o600)
    for args in (["list"], ["why", "192.0.2.1"],
                 ["check", "--client", "192.0.2.1", "--to", "a@far.test"]):
        done = as_nobody(*args)
        assert done.returncode == EX_NOPERM, done
        assert "may not read" in done.stderr


# --- the table --------------------------------------------------------------

@pytest.mark.parametrize("typed,canonical", [
    ("192.0.2.1", "192.0.2.1"),
    ("[192.0.2.1]", "192.0.2.1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
    ("[IPv6:2001:db8::1]", "2001:db8::1"),
    ("2001:db8::1%eth0", "2001:db8::1"),
    ("10.0.0.0/8", "10.0.0.0/8"),
    ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ("2001:db8::/32", "2001:db8::/32"),
    ("192.0.2.1/32", "192.0.2.1"),
])
def test_add_and_delete_any_form(box, typed, canonical):
    assert box.out("add", typed).startswith(canonical + " may relay until ")
    assert [r["client"] for r in jsons(box.out("list", "--json"))] == [
        canonical]
    assert box.out("delete", typed).startswith(canonical + " deleted")
    assert "Nobody may relay" in box.out("list")
    assert "not in the table" in box.err("delete", typed, code=1)


def test_add_times(box):
    now = time.time()
    for args, seconds in ((["--for", "90s"], 90), (["--for", "7d"], 604800),
                          (["--until", "@%d" % (now + 500)], 500),
                          ([], 1800)):
        box.out("add", "192.0.2.1", *args)
        row = jsons(box.out("list", "--json"))[0]
        until = time.mktime(time.strptime(row["expires_at"][:19],
                                          "%Y-%m-%dT%H:%M:%S"))
        until -= time.timezone if row["expires_at"].endswith("+00:00") else 0
        assert abs(until - now - seconds) < 30, args
    box.out("add", "192.0.2.1", "--forever")
    row = jsons(box.out("list", "--json"))[0]
    assert row["forever"] is True and row["expires_at"] is None
    assert "for ever" in box.out("list")
    assert "without an end" in box.out("why", "192.0.2.1")


def test_added_network_lets_its_members_relay(box):
    box.out("add", "198.51.100.0/24", "--note", "the branch office")
    why = box.out("why", "198.51.100.77")
    assert "may relay until" in why and "198.51.100.0/24" in why
    assert "the branch office" in why
    assert "may not relay" in box.out("why", "198.51.101.1")
    # deleting the member is not enough, and that is said
    box.out("add", "198.51.100.77")
    assert "may still relay" in box.err("delete", "198.51.100.77", code=1)


def test_add_what_policy_never_looks_at(box):
    assert "row 6" in box.run("add", "127.0.0.1").stderr
    assert "no-client-identity" in box.out(
        "check", "--client", "127.0.0.1", "--to", "a@far.test")


def test_add_one_of_our_own_addresses(box):
    own = subprocess.run(["hostname", "-I"], capture_output=True,
                         text=True).stdout.split()
    if not own:
        pytest.skip("no address but loopback here")
    box.configure(relay='never_authorize = [ "own" ];')
    assert "row 6" in box.run("add", own[0]).stderr
    assert "this machine's own addresses" in box.out("why", own[0])


def test_list_filters_and_sorting(box):
    box.fill_logins([("192.0.2.9", "bob", -100, 1000),
                     ("192.0.2.10", "alice", -50, 2000),
                     ("10.1.1.1", "carol", -20, 500),
                     ("10.1.1.2", "old", -9000, -7200),
                     ("2001:db8::5", "alice", -10, 900)])

    def clients(*args):
        return [r["client"] for r in jsons(box.out("list", "--json", *args))]
    assert sorted(clients()) == ["10.1.1.1", "192.0.2.10", "192.0.2.9",
                                 "2001:db8::5"]
    assert clients("--sort", "client") == [
        "10.1.1.1", "192.0.2.9", "192.0.2.10", "2001:db8::5"]
    assert clients("--sort", "client", "--reverse")[0] == "2001:db8::5"
    assert clients("--sort", "last")[0] == "192.0.2.9"
    assert clients("--sort", "expires")[0] == "10.1.1.1"
    assert clients("--user", "alice") == ["192.0.2.10", "2001:db8::5"]
    assert clients("--client", "192.0.2.0/24", "--sort", "client") == [
        "192.0.2.9", "192.0.2.10"]
    assert clients("--client", "192.0.2.9") == ["192.0.2.9"]
    assert clients("--expired") == ["10.1.1.2"]
    assert len(clients("--all")) == 5
    assert clients("--server", "courier") == []
    assert "Nobody may relay" in box.out("list", "--server", "courier")
    assert "No such entry" in box.out("list", "--all", "--user", "nobody")
    # logins more than a minute ago
    assert clients("1") == ["192.0.2.9"]


def test_shared_address(box):
    """Many users behind an address: said wherever it is shown, refused by
    choice, and then not exported to those who would let it in."""
    rows = [("192.0.2.1", "user%d" % n, -60, 900) for n in range(4)]
    rows += [("192.0.2.2", "user%d" % n, -60, 900) for n in range(3)]
    rows += [("192.0.2.2", "old", -9000, -7200)]
    box.fill_logins(rows)
    ask = ("--client", "192.0.2.1", "--to", "x@far.test")

    def notes():
        return {r["client"]: r["shared"]
                for r in jsons(box.out("list", "--json"))}
    assert notes() == {"192.0.2.1": False, "192.0.2.2": False}
    box.configure("shared_address_users = 3;")
    assert notes() == {"192.0.2.1": True, "192.0.2.2": False}
    assert notes() == {r["client"]: r["shared"] for r in jsons(
        box.out("list", "--json", "--sort", "user", "--reverse"))}
    assert box.out("list").count("shared by 4 users") == 4
    assert "relaying" in box.out("check", *ask)
    assert "shared by too many users" in box.out("check", *ask)
    assert "share it" in box.out("why", "192.0.2.1")
    assert "share it" not in box.out("why", "192.0.2.2")
    assert "192.0.2.1\t" in box.out("export", "--format", "access")
    box.configure('shared_address_users = 3; shared_address = "refuse";')
    assert box.out("list").count("shared by 4 users: refused") == 4
    out = box.out("check", *ask)
    assert "(shared-address, row 6)" in out
    assert "550 5.7.1 Relaying denied for 192.0.2.1: too many" in out
    answer, = jsons(box.out("why", "--json", "192.0.2.1"))
    assert answer["shared"] is True
    assert "may not relay now" in box.out("why", "192.0.2.1")
    for form in ("access", "cidr", "makemap", "relayhosts",
                 "relayhostsusers"):
        out = box.out("export", "--format", form)
        assert "192.0.2.2" in out and "192.0.2.1" not in out, form
    assert len(jsons(box.out("export", "--format", "json"))) == 7
    # the admin's word
    box.out("add", "192.0.2.1")
    assert "recent-login" in box.out("check", *ask)
    assert "192.0.2.1\t" in box.out("export", "--format", "access")


def test_list_limit_keeps_the_newest(box):
    box.fill_logins([("192.0.2.%d" % i, "u%d" % (i % 3), -60, 100 + i)
                     for i in range(1, 31)] +
                    [("198.51.100.1", "old", -7200, -5400)])
    first = [row.split()[0] for row in lines(box.out(
        "list", "--limit", "3"))[1:]]
    assert first == ["192.0.2.28", "192.0.2.29", "192.0.2.30"]
    assert "more than these 3" in box.run("list", "--limit", "3").stderr
    for args, want in (
            (["--user", "u1", "--limit", "2"], ["192.0.2.25", "192.0.2.28"]),
            (["--client", "192.0.2.0/28", "--limit", "2"],
             ["192.0.2.14", "192.0.2.15"]),
            (["--all", "--limit", "1"], ["192.0.2.30"]),
            (["--expired", "--limit", "1"], ["198.51.100.1"]),
            (["--sort", "expires", "--limit", "2"],
             ["192.0.2.1", "192.0.2.2"]),
            (["--sort", "expires", "--reverse", "--limit", "2"],
             ["192.0.2.30", "192.0.2.29"])):
        got = [r["client"] for r in jsons(box.out("list", "--json", *args))]
        assert got == want, args
    done = box.run("list", "--limit", "30")
    assert len(lines(done.stdout)) == 31 and done.stderr == ""
    assert len(jsons(box.out("list", "--json"))) == 30
    box.err("list", "--limit", "x", code=EX_USAGE)


def test_list_more_than_people_read(box):
    """A thousand lines, of however many; programs get all."""
    box.fill_logins([("10.0.%d.%d" % (i >> 8, i & 255), "u", -60, 100 + i)
                     for i in range(4000)])
    done = box.run("list")
    assert len(lines(done.stdout)) == 1001
    assert "10.0.15.159 " in done.stdout and "10.0.0.0 " not in done.stdout
    assert "more than these 1000" in done.stderr
    assert len(lines(box.out("list", "--limit", "0"))) == 4001
    assert len(jsons(box.out("list", "--json"))) == 4000
    assert len(lines(box.out("list", "--ticks"))) == 4000
    assert len(lines(box.out("list", "--sort", "client"))) == 1001


def test_expire(box):
    box.fill_logins([("192.0.2.1", "a", -100, 1000),
                     ("192.0.2.2", "b", -9000, -7200),
                     ("192.0.2.3", "c", -90000, -88200)])
    box.out("add", "192.0.2.4", "--forever")
    assert box.out("expire") == "2 entries deleted\n"
    assert len(jsons(box.out("list", "--all", "--json"))) == 2
    assert box.out("expire") == "0 entries deleted\n"
    # older than 1 minute: the login, not the admin's entry
    assert box.out("expire", "1") == "1 entry deleted\n"
    assert "192.0.2.4" in box.out("list")


def test_deny_list_undeny(box):
    out = box.run("deny", "192.0.2.7", "--for", "2h", "--reason",
                  "spam " + HOSTILE).stdout
    assert "client 192.0.2.7 is denied until 2" in out
    assert "user alice is denied until 'popgatectl undeny'" in box.out(
        "deny", "alice")
    box.out("deny", "198.51.100.0/24")
    rows = jsons(box.out("deny", "--list", "--json"))
    assert {(r["subject"], r["kind"]) for r in rows} == {
        ("192.0.2.7", "client"), ("198.51.100.0/24", "client"),
        ("alice", "user")}
    assert "spam evil\\x1b[31mred" in box.out("deny", "--list")
    assert "Denied: " in box.out("why", "198.51.100.9")
    assert "Denied: " in box.out("why", "192.0.2.7")
    assert "Denied: " not in box.out("why", "192.0.2.8")
    box.out("undeny", "alice")
    assert "is not denied" in box.err("undeny", "alice", code=1)
    # in the table of the schema, for the policy
    db = sqlite3.connect(box.logins)
    assert db.execute("SELECT count(*) FROM deny").fetchone() == (2,)
    db.close()


# --- why --------------------------------------------------------------------

def test_why_address(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    box.fill_audit([
        {"client": "192.0.2.1", "login_user": "alice", "queue_id": "4AAA"},
        {"client": "192.0.2.1", "login_user": "alice", "queue_id": "4BBB",
         "recipient": "<last@far.test>", "at": -5},
        {"client": "192.0.2.1", "verdict": "reject", "reason": "no-login",
         "reply": "550 5.7.1 Relaying denied", "at": -4000, "rule": 13}])
    out = box.out("why", "192.0.2.1")
    assert "192.0.2.1 may relay until" in out
    assert "Policy row 10, recent-login: alice" in out
    assert "(4 min ago)" in out
    assert "imap" in out and "dovecot" in out
    assert "Login: user=<alice>, rip=192.0.2.1" in out
    assert f"file:{box.log} at byte 77" in out
    assert "Accepted: 2 recipients in 2 messages" in out
    assert out.index("last@far.test") < out.index("b@far.test")
    assert "Refused: 1 recipient in 1 message" in out
    assert "told: 550 5.7.1 Relaying denied" in out
    j = json.loads(box.out("why", "192.0.2.1", "--json"))
    assert j["may_relay"] is True and j["rule"] == 10
    assert j["logins"][0]["user"] == "alice"
    assert j["evidence"][0]["position"] == 77
    assert j["accept"]["recipients"] == 2
    assert box.out("why", "[::ffff:192.0.2.1]") == box.out("why",
                                                           "192.0.2.1")


def test_why_several_users_is_never_a_guess(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560),
                     ("192.0.2.1", "bob", -100, 1700)])
    out = box.out("why", "192.0.2.1")
    assert "one of several users" in out
    assert "a relayed message is by one of 2" in out


def test_why_user_and_queue_id(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560),
                     ("192.0.2.2", "alice", -9000, -7200)])
    box.fill_audit([{"login_user": "alice", "queue_id": "4AAA"},
                    {"auth_user": "alice", "reason": "authenticated",
                     "queue_id": "4CCC", "rule": 3}])
    out = box.out("why", "alice")
    assert "192.0.2.1" in out and "192.0.2.2" in out
    assert "counts now from 1 of 2 addresses" in out
    assert "Accepted: 2 recipients" in out
    out = box.out("why", "4CCC")
    assert out.startswith("Message 4CCC, client 192.0.2.1")
    assert "policy row 3" in out
    assert "neither a user nor a queue id" in box.err("why", "nobody",
                                                      code=1)


def test_why_message_id(box):
    """Through the MTA's log; and only the field that the MTA wrote as one
    decides, wherever else the text stands."""
    box.fill_logins()
    box.fill_audit([{"queue_id": "4AAA1", "recipient": "<right@far.test>"},
                    {"queue_id": "4AAA1", "recipient": "<old@far.test>",
                     "at": -86400},
                    {"queue_id": "4BBB2", "recipient": "<wrong@far.test>"},
                    {"queue_id": "6ALENnKj000068",
                     "recipient": "<second@far.test>"}])
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime())
    with open(box.log, "w") as log:
        for line in ("postfix/cleanup[1]: 4AAA1: message-id=<x@y.test>",
                     "postfix/qmgr[2]: 4BBB2: from=<x@y.test>, size=1, "
                     "nrcpt=1 (queue active)",
                     "postfix/cleanup[1]: 4BBB2: message-id=<x@y.test>, a",
                     "postfix/smtpd[1]: 4BBB2: message-id=<x@y.test>",
                     "logger: 4BBB2: message-id=<x@y.test>",
                     "sm-mta[3]: 6ALENnKj000068: from=<a@b>, size=1, class=0,"
                     " nrcpts=1, msgid=<x@y.test>, proto=SMTP, daemon=MTA, "
                     "relay=[192.0.2.1]",
                     "postfix/cleanup[1]: 4DDD4: message-id=<local@y.test>"):
            log.write(stamp + "mail " + line + "\n")
    for form in ("<x@y.test>", "x@y.test"):
        out = box.out("why", form)
        assert "2 messages with this message-id" in out
        assert "right@far.test" in out and "second@far.test" in out
        assert "wrong@far.test" not in out
        # an id that was in use before for another message
        assert "old@far.test" not in out
    got = json.loads(box.out("why", "x@y.test", "--json"))
    assert [(m["queue_id"], len(m["decisions"])) for m in
            got["messages"]] == [("4AAA1", 1), ("6ALENnKj000068", 1)]
    assert "decided nothing of it" in box.out("why", "local@y.test")
    assert "nor a message-id" in box.err("why", "<no@y.test>", code=1)
    # elsewhere, and nowhere
    other = os.path.join(box.path, "other.log")
    os.rename(box.log, other)
    assert "right@far.test" in box.out("why", "--log", other, "x@y.test")
    assert "no such log" in box.err("why", "x@y.test", code=EX_NOINPUT)


def test_why_of_a_client_with_many_decisions(box):
    """Counts are of the newest, and say so; an old refusal is not looked
    for among a million."""
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    box.fill_audit([{"verdict": "tempfail", "at": -9000}] +
                   [{"verdict": "accept", "at": -5000 + i} for i in
                    range(2000)] + [{"verdict": "reject", "at": -5,
                                     "reason": "denied"}])
    got = json.loads(box.out("why", "192.0.2.1", "--json"))
    assert got["accept"]["recipients"] == 1999 and got["accept"]["at_least"]
    assert got["reject"]["recipients"] == 1
    assert got["reject"]["newest"][0]["reason"] == "denied"
    assert got["tempfail"]["recipients"] == 0
    assert len(got["accept"]["newest"]) == 5
    text = box.out("why", "192.0.2.1")
    assert "Of its newest 2000 decisions:" in text
    assert "at least 1999 recipients" in text
    # whoever asks for more, gets more
    got = json.loads(box.out("why", "192.0.2.1", "--decisions", "3000",
                             "--json"))
    assert got["accept"]["recipients"] == 2000
    assert not got["accept"]["at_least"]
    assert len(got["accept"]["newest"]) == 2000
    assert got["tempfail"]["recipients"] == 1


def test_why_user_of_many_addresses(box):
    """The evidence is the newest login's, of whichever address."""
    box.fill_logins([("10.0.%d.%d" % (i >> 8, i & 255), "alice",
                      -60 - abs(i - 150), 1000) for i in range(300)])
    text = box.out("why", "alice", "--events", "2")
    assert "and 100 more: see 'popgatectl list --all'" in text
    assert "from 300 of 300 addresses" in text
    evidence = text[text.index("Evidence"):]
    assert "rip=10.0.0.150" in lines(evidence)[3]
    assert len(json.loads(box.out("why", "alice", "--json"))["logins"]) == 300


def test_why_near_misses(box):
    box.fill_logins([("192.0.2.2", "bob", -9000, -7200)])
    stamp = time.strftime("%b %e %H:%M:%S", time.localtime())
    with open(box.log, "w") as log:
        log.write(f"{stamp} mail dovecot: imap-login: Disconnected: "
                  "Connection closed (auth failed, 1 attempts in 2 secs): "
                  "user=<eve>, method=PLAIN, rip=192.0.2.1, "
                  "lip=198.51.100.1, session=<abc>\n")
        log.write(f"{stamp} mail dovecot: imap-login: Login: user=<eve>, "
                  "method=PLAIN, rip=192.0.2.10, lip=198.51.100.1\n")
        log.write(f"{stamp} mail postfix/smtpd[1]: connect from "
                  "x[192.0.2.1]\n")
    out = box.out("why", "192.0.2.1")
    assert "may not relay now" in out
    assert "Near misses:" in out
    assert "failed" in out and "rip=192.0.2.1," in out
    assert "192.0.2.10" not in out and "smtpd" not in out
    out = box.out("why", "192.0.2.2")
    assert "login-expired" in out and "the login expired" in out
    assert "no POP or IMAP server's line names it" in out
    os.unlink(box.log)
    assert "can't be read" in box.out("why", "192.0.2.1")


def test_hostile_text_never_reaches_the_terminal(box):
    box.fill_logins([("192.0.2.1", HOSTILE, -240, 1560)])
    box.fill_audit([{"login_user": HOSTILE, "sender": HOSTILE,
                     "recipient": HOSTILE, "queue_id": "4AAA",
                     "reply": HOSTILE, "verdict": "reject"}])
    for args in (["list"], ["list", "--json"], ["why", "192.0.2.1"],
                 ["why", "192.0.2.1", "--json"], ["why", "4AAA"],
                 ["why", HOSTILE], ["decisions"], ["decisions", "--json"],
                 ["decisions", "--csv"], ["stats", "--by", "user"],
                 ["top"], ["spam", "--recipients", "1"], ["export",
                                                          "--format", "csv"],
                 ["export", "--format", "relayhostsusers"],
                 ["check", "--client", "192.0.2.1", "--to", HOSTILE]):
        box.run(*args)      # run() looks for what must not be there
    j = jsons(box.out("list", "--json"))[0]
    assert j["user"] == HOSTILE
    # the command to paste names the very user
    spam = box.out("spam", "--recipients", "1")
    command = re.search(r"deny --user (\$'.*') --reason", spam).group(1)
    typed = subprocess.run(["bash", "-c", "printf %s " + command],
                           capture_output=True, text=True).stdout
    assert typed == HOSTILE


# --- check, decisions, counting ---------------------------------------------

CHECKS = [
    # client, recipient, more, verdict, reason, row, code
    ("192.0.2.1", "a@far.test", [], "accept", "recent-login", 10, None),
    ("192.0.2.2", "a@far.test", [], "reject", "login-expired", 11, "550"),
    ("192.0.2.3", "a@far.test", [], "reject", "no-login", 13, "550"),
    ("192.0.2.3", "a@example.com", [], "accept", "local-recipient", 1, None),
    ("192.0.2.3", "<A@Sub.Example.Org.>", [], "accept", "local-recipient",
     1, None),
    ("192.0.2.3", "a%far.test@example.com", [], "reject", "no-login", 13,
     "550"),
    ("192.0.2.3", "a@far.test", ["--auth", "u"], "accept", "authenticated",
     3, None),
    ("10.9.9.9", "a@far.test", [], "accept", "trusted-network", 5, None),
    ("127.0.0.1", "a@far.test", [], "reject", "no-client-identity", 6,
     "550"),
    ("unknown", "a@far.test", [], "reject", "no-client-identity", 6, "550"),
    ("192.0.2.3", "a@far.test", ["--mailer", "local"], "accept",
     "local-recipient", 1, None),
]


@pytest.mark.parametrize("client,to,more,verdict,reason,row,code", CHECKS)
def test_check(box, client, to, more, verdict, reason, row, code):
    box.configure(relay='trusted_networks = [ "10.9.0.0/16" ];')
    box.fill_logins([("192.0.2.1", "alice", -240, 1560),
                     ("192.0.2.2", "bob", -9000, -7200)])
    args = ["check", "--client", client, "--to", to, *more]
    j = json.loads(box.out(*args, "--json"))
    assert (j["verdict"], j["reason"], j["rule"], j["code"]) == (
        verdict, reason, row, code)
    assert [r["matched"] for r in j["rows"]] == (
        [False] * (len(j["rows"]) - 1) + [True])
    assert j["rows"][-1]["row"] == row
    out = box.out(*args)
    assert f"answer:  {verdict} ({reason}, row {row})" in out
    if code:
        assert f"reply:   {code} 5.7.1 " in out
    box.run(*args, "--exit-code", code=0 if verdict == "accept" else 1)


@pytest.mark.parametrize("sender,users,verdict,words", [
    ("alice@example.com", ["alice"], "accept", "alice may send as alice@"),
    ("ALICE@Example.com", ["alice"], "accept", "alice may send as ALICE@"),
    ("<alice@example.com>", ["alice"], "accept", "alice may send as alice@"),
    ("x@shop.test", ["alice"], "accept", "alice may send as x@shop.test"),
    ("bob@example.com", ["alice"], "reject", "alice may not send as bob@"),
    ("bob@example.com", ["alice", "bob"], "accept",
     "one of those who logged in from there may send as bob@"),
    ("eve@example.com", ["alice", "bob"], "reject",
     "none of those who logged in from there may send as eve@"),
    ("", ["alice"], "reject", "the null sender: relay.null_sender is "
     '"reject"'),
    ("alice@example.com", [""], "reject", "nobody by name may not send"),
    ('"alice"@example.com', ["alice"], "reject", "may not send"),
    ("alice\x1b[2J@example.com", ["alice"], "reject", "may not send"),
])
def test_check_sender(box, sender, users, verdict, words):
    with open(os.path.join(box.path, "senders"), "w") as out:
        out.write("alice: @shop.test\n")
    box.configure(relay='sender_binding = "address"; null_sender = "reject"; '
                        'sender_addresses = [ "append:example.com", '
                        f'"file:{box.path}/senders" ];')
    box.fill_logins([("192.0.2.1", user, -240, 1560) for user in users])
    args = ["check", "--client", "192.0.2.1", "--to", "a@far.test",
            "--from", sender]
    j = json.loads(box.out(*args, "--json"))
    assert (j["verdict"], j["rule"]) == (verdict, 10 if verdict == "accept"
                                         else 8)
    assert j["code"] == (None if verdict == "accept" else "553")
    assert words in [r["found"] for r in j["rows"] if r["row"] == 8][0]
    assert words in box.out(*args)
    # why asks for none in particular, and says so
    story = box.out("why", "192.0.2.1")
    assert "may relay until" in story and "Only as a sender that its" in story


def test_check_certificate(box):
    box.configure(relay='certificates = ( { subject = "/CN=a b"; issuer = '
                        '"/CN=ca"; } );')
    box.fill_logins()
    args = ["check", "--client", "192.0.2.1", "--to", "a@far.test"]
    assert "no certificate in this session" in box.out(*args)
    out = box.out(*args, "--cert-subject", "/CN=a b", "--cert-issuer",
                  "/CN=ca")
    assert "answer:  accept (certificate, row 4)" in out
    for more in (["--cert-subject", "/CN=a b"],
                 ["--cert-subject", "/CN=a b", "--cert-issuer", "/CN=cb"],
                 ["--cert-fingerprint", "AA" * 32]):
        assert "(no-login, row 13)" in box.out(*args, *more)


def test_sender_addresses_errors(box):
    path = os.path.join(box.path, "senders")
    with open(path, "w") as out:
        out.write("alice: alice@example.com\nbob\n")
    relay = f'sender_addresses = [ "file:{path}" ];'
    box.configure(relay='sender_binding = "domain"; ' + relay)
    assert f'{path}:2: expected "user: address' in box.err(
        "check-config", code=EX_CONFIG)
    # not in use: not read
    box.configure(relay=relay)
    box.run("check-config")


def test_monitor_in_part(box):
    box.configure(relay='monitor_networks = [ "192.0.2.0/28" ]; '
                        'monitor_listeners = [ "policy" ];')
    box.fill_logins()
    box.fill_audit([{"at": -60, "client": "192.0.2.1", "rule": 13,
                     "verdict": "would-reject", "reason": "no-login"},
                    {"at": -50, "client": "192.0.2.1", "rule": 12,
                     "verdict": "would-tempfail",
                     "reason": "collector-behind"}])
    args = ["check", "--to", "a@far.test", "--client"]
    assert "mode:    monitor:" in box.out(*args, "192.0.2.1")
    assert not json.loads(box.out(*args, "192.0.2.1", "--json"))["enforced"]
    assert "mode:    monitor on policy" in box.out(*args, "192.0.2.99")
    assert "Not refused, in monitor mode: 1 recipient" in box.out(
        "why", "192.0.2.1")
    assert [r["reason"] for r in jsons(box.out(
        "decisions", "--json", "--verdict", "would-tempfail"))] == [
            "collector-behind"]
    by_client = jsons(box.out("stats", "--by", "client", "--json"))
    assert [(r["accepted"], r["rejected"], r["would_refuse"])
            for r in by_client] == [(0, 0, 2)]
    assert "relay.monitor_networks" in box.run("check-config").stderr
    rows = box.out("sql", "SELECT refused, would_refuse FROM "
                   "audit.relay_by_client")
    assert "0" in rows and "2" in rows


def test_check_at_another_time(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    out = box.out("check", "--client", "192.0.2.1", "--to", "a@far.test",
                  "--at", "3h")
    assert "login-expired" in out and "note:" in out


def test_check_collector_behind(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)], sources=False)
    args = ["check", "--client", "192.0.2.9", "--to", "a@far.test"]
    assert "never read a log" in box.out(*args)
    box.run(*args, "--exit-code", code=EX_TEMPFAIL)
    db = sqlite3.connect(box.logins)
    with db:
        db.execute("INSERT INTO source (name, inode, position, "
                   "fingerprint, read_at, line_at) "
                   "VALUES ('x',0,0,'',?,0)",
                   (int(time.time()) - 500,))
    db.close()
    assert "answer:  tempfail (collector-behind, row 12)" in box.out(*args)


def test_check_asks_for_the_collector_only_without_a_login(box):
    """As the milter does: what is wrong there keeps no login from relaying."""
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    db = sqlite3.connect(box.logins)
    db.execute("DROP TABLE source")
    db.close()
    to = ["--to", "a@far.test"]
    assert "answer:  accept (recent-login, row 10)" in box.out(
        "check", "--client", "192.0.2.1", *to)
    assert "answer:  tempfail (store-unavailable, row 7)" in box.out(
        "check", "--client", "192.0.2.9", *to)


def test_decisions_filters(box):
    box.fill_audit([
        {"at": -9000, "client": "192.0.2.1", "login_user": "alice"},
        {"at": -60, "client": "192.0.2.2", "auth_user": "bob",
         "reason": "authenticated", "queue_id": "4Q", "rule": 3,
         "sender": "bob@example.com"},
        {"at": -50, "client": "unknown", "verdict": "reject",
         "reason": "no-client-identity", "rule": 6,
         "recipient": "<x@far.test>"}])

    def ids(*args):
        return [r["id"] for r in jsons(box.out("decisions", "--json",
                                               *args))]
    assert ids() == [1, 2, 3]
    assert ids("--since", "10m") == [2, 3]
    assert ids("--until", "10m") == [1]
    assert ids("--client", "[192.0.2.2]") == [2]
    assert ids("--client", "unknown") == [3]
    assert ids("--user", "alice") == [1]
    assert ids("--user", "bob") == [2]
    assert ids("--sender", "bob@example.com") == [2]
    assert ids("--recipient", "x@far.test") == [3]
    assert ids("--verdict", "reject") == [3]
    assert ids("--reason", "authenticated") == [2]
    assert ids("--queue-id", "4Q") == [2]
    assert ids("--limit", "2") == [2, 3]
    assert ids("--limit", "0") == [1, 2, 3]
    assert "No such decision" in box.out("decisions", "--user", "nobody")
    rows = list(csv.DictReader(io.StringIO(box.out("decisions", "--csv"))))
    assert [r["reason"] for r in rows] == [
        "recent-login", "authenticated", "no-client-identity"]


def test_csv_is_no_formula(box):
    box.fill_audit([{"sender": '=cmd|"x"', "recipient": "<a,b@far.test>"}])
    row = list(csv.DictReader(io.StringIO(box.out("decisions", "--csv"))))[0]
    assert row["sender"] == "'=cmd|\"x\""
    assert row["recipient"] == "<a,b@far.test>"


def test_decisions_follow(box):
    box.fill_audit([{"client": "192.0.2.1"}])
    child = subprocess.Popen(
        [CTL, "-c", box.conf, "decisions", "--follow", "--json"],
        stdout=subprocess.PIPE, text=True,
        # a shell's background job ignores it, and so do its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        assert json.loads(child.stdout.readline())["client"] == "192.0.2.1"
        box.fill_audit([{"client": "192.0.2.2"}])
        assert json.loads(child.stdout.readline())["client"] == "192.0.2.2"
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(120)
        child.stdout.close()


def test_stats_top_spam_dependents(box):
    box.fill_audit(
        [{"client": "192.0.2.66", "login_user": "victim",
          "sender": "r%d@rnd.test" % n} for n in range(20)] +
        [{"client": "192.0.2.1", "login_user": "alice"}] * 3 +
        [{"client": "192.0.2.2", "login_user": "bob"},
         {"client": "192.0.2.2", "auth_user": "bob",
          "reason": "authenticated"},
         {"client": "192.0.2.3"},
         {"client": "192.0.2.4", "verdict": "reject",
          "reason": "no-login"}])
    by_client = {r["client"]: r for r in jsons(
        box.out("stats", "--by", "client", "--json"))}
    assert by_client["192.0.2.66"]["senders"] == 20
    assert by_client["192.0.2.4"]["rejected"] == 1
    assert sum(r["recipients"] for r in jsons(
        box.out("stats", "--json"))) == 27
    assert jsons(box.out("top", "--by", "client", "--json", "--limit",
                         "1"))[0]["client"] == "192.0.2.66"
    spam = box.out("spam")
    assert "popgatectl deny '192.0.2.66' --reason spam" in spam
    assert "popgatectl deny --user 'victim' --reason spam" in spam
    assert "192.0.2.1:" not in spam
    assert "Nothing looks like" in box.out("spam", "--senders", "100")
    users = [r["user"] for r in jsons(box.out("dependents", "--json"))]
    assert users == ["victim", "alice"]
    assert "1 more recipients" in box.out("dependents")
    for args in (["stats"], ["top"], ["stats", "--by", "day"],
                 ["stats", "--by", "reason"]):
        assert box.out(*args)


# --- vsmtprelay -------------------------------------------------------------

def test_vsmtprelay_language(box):
    now = int(time.time())
    usage = box.run(program="vsmtprelay", code=EX_USAGE).stderr
    for verb in ("add ip [ticks]", "delete ip [...]", "expire [n]",
                 "list [n]", "dump"):
        assert "vsmtprelay " + verb in usage
    assert box.vsm("add", "10.11.12.13", str(now - 7200)) == ""
    assert box.vsm("add", "10.11.12.14", str(now - 60)) == ""
    assert box.vsm("add", "10.11.12.15", str(now + 86400)) == ""
    assert box.vsm("add", "10.11.12.16") == ""
    listed = [line.split("\t") for line in lines(box.vsm("list"))]
    assert [row[0] for row in listed] == [
        "10.11.12.13", "10.11.12.14", "10.11.12.16"]
    assert listed[0][1] == str(now - 7200)
    assert abs(int(listed[2][1]) - now) < 30
    dumped = lines(box.vsm("dump"))
    assert f"10.11.12.15\t{now + 86400}" in dumped and len(dumped) == 4
    assert box.out("dump") == box.vsm("dump")
    assert lines(box.vsm("list", "60")) == [f"10.11.12.13\t{now - 7200}"]
    assert box.vsm("expire", "60") == ""
    assert "10.11.12.13" not in box.vsm("dump")
    assert box.vsm("delete", "10.11.12.14", "10.11.12.99") == ""
    assert box.vsm("expire") == ""
    assert lines(box.vsm("dump")) == [f"10.11.12.15\t{now + 86400}"]
    # the nightly crontab line
    assert box.vsm("expire", "1440") == ""


@pytest.mark.parametrize("args", [
    [], ["add"], ["add", "1.2.3.4", "5", "6"], ["delete"],
    ["list", "1", "2"], ["dump", "1"], ["help"], ["frobnicate"]])
def test_vsmtprelay_usage(box, args):
    done = box.run(*args, program="vsmtprelay", code=EX_USAGE)
    assert done.stderr.startswith("usage: vsmtprelay add ip [ticks]")


def test_vsmtprelay_bad_words(box):
    for args in (["add", "10.0.0"], ["add", "10.0.0.1", "x"],
                 ["list", "-1"], ["expire", "1h"]):
        box.err(*args, program="vsmtprelay", code=EX_USAGE)


def test_vsmtprelay_one_line_for_a_client(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560),
                     ("192.0.2.1", "bob", -100, 1700)])
    out = lines(box.vsm("list"))
    assert len(out) == 1
    assert abs(int(out[0].split("\t")[1]) - time.time() + 100) < 30


def makemap():
    for path in ("/usr/sbin/makemap",
                 os.path.join(TOP, "build/sendmail/usr/libexec/sendmail/"
                              "makemap")):
        if os.path.exists(path):
            return path
    pytest.skip("makemap(8) is not here")


def run_makemap(*args, **kw):
    done = subprocess.run([makemap(), "-C", "/dev/null", *args],
                          capture_output=True, text=True, **kw)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_dump_is_read_by_makemap(box):
    now = int(time.time())
    box.vsm("add", "10.11.12.13", str(now))
    db = os.path.join(box.path, "relayers.db")
    run_makemap("hash", db, input=box.vsm("dump"))
    assert run_makemap("-u", "hash", db) == f"10.11.12.13\t{now}\n"


@pytest.mark.parametrize("null", [False, True])
def test_import_relayers_db(box, null):
    now = int(time.time())
    db = os.path.join(box.path, "relayers.db")
    args = ["-N"] if null else []
    run_makemap(*args, "hash", db, input=(
        f"10.11.12.13\t{now - 60}\n10.11.12.14\t{now - 99999}\n"
        f"10.11.12.15\t{now + 99999}\nnot.an.ip\t{now}\n"))
    done = box.run("import", db, code=EX_DATAERR)
    assert "2 entries imported, 1 too old, 1 left out" in done.stdout
    assert lines(box.vsm("dump")) == [f"10.11.12.13\t{now - 60}",
                                      f"10.11.12.15\t{now + 99999}"]


def test_export_relayers_db(box):
    now = int(time.time())
    box.vsm("add", "10.11.12.13", str(now - 60))
    box.vsm("add", "10.11.12.14", str(now - 99999))     # too old
    box.out("add", "10.99.0.0/16")
    db = os.path.join(box.path, "relayers.db")
    done = box.run("export", "--format=relayers.db", "--output", db)
    assert "network 10.99.0.0/16 is left out" in done.stderr
    assert run_makemap("-u", "hash", db) == f"10.11.12.13\t{now - 60}\n"
    if shutil.which("db_dump"):
        dump = subprocess.run(["db_dump", "-p", db], capture_output=True,
                              text=True).stdout
        assert " 10.11.12.13\n" in dump
    # again, over the old one
    box.run("export", "--format=relayers.db", "--output", db)
    assert [f for f in os.listdir(box.path) if f.endswith(".new")] == []


def test_import_rubbish_hash(box):
    db = os.path.join(box.path, "relayers.db")
    with open(db, "wb") as out:
        out.write(b"\0" * 12 + b"\x61\x15\x06\0" + os.urandom(8000))
    box.err("import", db, code=EX_DATAERR)


@pytest.mark.parametrize("text,want", [
    ("10.0.0.1\n10.0.0.2\n", ["10.0.0.1", "10.0.0.2"]),       # relayhosts
    ("10.0.0.1 alice@example.com\n", ["10.0.0.1"]),   # relayhostsusers
    ("alice 10.0.0.1\n", ["10.0.0.1"]),
    ("# comment\n\n10.0.0.1\tOK\n", ["10.0.0.1"]),            # access
    ("10.0.0.0/8 OK\n", ["10.0.0.0/8"]),                      # cidr
    ("10.0.0.1\tREJECT\n10.0.0.2 DUNNO\n", []),
    ("0.0.0.0/0 OK\n", []),
    ("10.0.0.1\tMar  1 12:00:00 2026\n", ["10.0.0.1"]),
    ("ip_address,ip_mask,lock_time\n10.0.0.1,32,{now}\n", ["10.0.0.1"]),
    ("ip_address,ip_mask,lock_time\n10.0.0.1,32,2001-01-01 10:00:00\n", []),
    ('{{"client":"10.0.0.1","user":"a\\u0041","expires_at":null}}\n',
     ["10.0.0.1"]),
    ('{{"client":"10.0.0.1","expires_at":"2001-01-01T00:00:00Z"}}\n', []),
    ('{{"client":"10.0.0.1"\n', []),
    ("rubbish\x1b[2J\n", []),
])
def test_import_formats(box, text, want):
    source = os.path.join(box.path, "in")
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    with open(source, "w") as out:
        out.write(text.format(now=now))
    exe = os.path.join(box.path, "popgatectl")
    dry = subprocess.run([CTL, "-c", box.conf, "import", "--dry-run",
                          source], capture_output=True, text=True)
    assert not os.path.exists(box.logins)
    assert "would be imported" in dry.stdout, dry
    assert dry.returncode in (0, EX_DATAERR)
    box.run("import", source, code=dry.returncode)
    assert [r["client"] for r in jsons(box.out("list", "--json"))] == want
    assert exe


@pytest.mark.parametrize("form", ["json", "csv"])
def test_export_import_round_trip(box, form):
    box.fill_logins([("192.0.2.1", 'al"ice, the\\1st', -240, 1560),
                     ("2001:db8::1", "bob", -100, 1700),
                     ("192.0.2.2", "old", -9000, -7200)])
    box.out("add", "10.0.0.0/8", "--forever")
    source = os.path.join(box.path, "out." + form)
    box.run("export", "--format", form, "--output", source)
    before = {(r["client"], r["user"], r["expires_at"])
              for r in jsons(box.out("list", "--json"))}
    for name in ("", "-wal", "-shm"):
        os.unlink(box.logins + name)
    assert "3 entries imported" in box.out("import", source)
    assert {(r["client"], r["user"], r["expires_at"])
            for r in jsons(box.out("list", "--json"))} == before


def test_export_only_what_counts_now(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560),
                     ("192.0.2.2", "old", -9000, -7200)])
    for form in ("makemap", "relayhosts", "relayhostsusers", "access",
                 "cidr", "json", "csv"):
        out = box.out("export", "--format", form)
        assert "192.0.2.1" in out and "192.0.2.2" not in out, form
    assert box.out("export", "--format", "access", "--value",
                   "RELAY") == "192.0.2.1\tRELAY\n"
    target = os.path.join(box.path, "relayhosts")
    with open(target, "w") as out:
        out.write("old\n")
    os.chmod(target, 0o640)
    box.run("export", "--format", "relayhosts", "--output", target)
    assert open(target).read() == "192.0.2.1\n"
    assert os.stat(target).st_mode & 0o777 == 0o640
    box.err("export", "--output", "/nonexistent/dir/x", code=73)


# --- replay -----------------------------------------------------------------

LOG = [
    ("Mar  3 08:00:17 mail dovecot: imap-login: Login: user=<alice>, "
     "method=PLAIN, rip=192.0.2.10, lip=198.51.100.5, mpid=20010, TLS, "
     "session=<xMUQZmKXTR83p5d1>", "login\talice\t192.0.2.10"),
    ("Mar  3 08:00:17 mail dovecot: imap-login: Login: user=<alice>, "
     "method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=20010, "
     "session=<xMUQZmKXTR83p5d1>", "ignore\t-\t-"),
    ("", "ignore\t-\t-"),
    ("x" * 20000, "ignore\t-\t-"),
    ("\x00\xff rubbish", "ignore\t-\t-"),
]


@pytest.mark.parametrize("end", ["\n", ""])
def test_replay_each(box, end):
    text = "\n".join(line for line, _ in LOG) + end
    got = lines(box.out("replay", "--each", "-", input=text))
    assert got == [want for _, want in LOG]
    reasons = [line.split("\t")[3] for line in lines(
        box.out("replay", "--each", "--reason", "-", input=text))]
    assert reasons[:2] == ["login", "never-authorize"]
    assert not os.path.exists(box.logins)
    assert box.out("replay", "--each", "-", input="") == ""


def test_replay_of_nginx_own_file(box):
    """The collector takes no login from it; --each shows the grammar."""
    line = ('2026/03/03 09:20:00 [info] 1402#0: *31 client logged in, '
            'client: 192.0.2.128, server: 0.0.0.0:993, login: "vito"\n')
    assert box.out("replay", "--each", "-", input=line) == \
        "login\tvito\t192.0.2.128\n"
    summary = box.out("replay", "-", input=line)
    assert "1 lines, 0 logins" in summary
    assert summary.splitlines()[1].split() == ["nginx", "forgeable-file", "1"]


def test_replay_file_gzip_and_summary(box):
    with open(box.log, "w") as log:
        log.write((LOG[0][0] + "\n") * 1000)
    plain = box.out("replay", box.log)
    assert "1000 lines, 1000 logins" in plain
    for packer in bz2, lzma:
        with packer.open(box.log + ".packed", "wt") as out:
            out.write((LOG[0][0] + "\n") * 1000)
        assert "1000 lines, 1000 logins" in box.out("replay",
                                                    box.log + ".packed")
    with open(box.log + ".packed", "r+b") as damaged:
        damaged.truncate(200)
    box.err("replay", box.log + ".packed", code=EX_IOERR)
    subprocess.run(["gzip", box.log], check=True)
    assert "1000 lines, 1000 logins" in box.out("replay", box.log + ".gz")
    box.err("replay", box.log, code=EX_NOINPUT)
    box.err("replay", "--servers", "nosuch", "-", code=EX_USAGE)


def test_what_postfix_does_not_tell_a_socketmap(box):
    note = "relay.certificates: Postfix doesn't tell a socketmap"

    def notes():
        milter = subprocess.run(
            [os.path.join(os.path.dirname(CTL), "popgate-milter"), "-t", "-c",
             box.conf], capture_output=True, text=True, timeout=60)
        assert milter.returncode == 0, milter
        said = box.run("check-config").stderr
        assert (note in said) == (note in milter.stderr), (said, milter)
        return said

    box.configure(relay='certificates = ( { subject = "s"; issuer = "i"; } );')
    assert note not in notes()              # permit.policy is told
    assert "certificates" not in box.run("wiring", "postfix").stderr
    assert note in box.run("wiring", "postfix", "--socketmap").stderr
    text = open(box.conf).read()
    with open(box.conf, "w") as out:
        out.write(re.sub(r'policy = "[^"]*"', 'policy = ""', text))
    assert note in notes()
    assert note in box.run("wiring", "postfix").stderr
    assert "certificates" not in box.run("wiring", "sendmail").stderr
    box.configure(relay="")
    assert note not in notes()


# --- configuration, wiring, status ------------------------------------------

def test_check_config(box):
    done = box.run("check-config")
    assert done.stdout.endswith("good (2 local domains, 1 sources)\n")
    box.configure(relay='mode = "monitor"; trusted_networks = [ "0.0.0.0/0" '
                  ']; collector_grace = 0;')
    notes = box.run("check-config").stderr
    for word in ("open relay", "monitor", "collector_grace"):
        assert word in notes
    # in the milter's words
    said = subprocess.run([os.path.join(os.path.dirname(CTL),
                                        "popgate-milter"), "-t", "-c",
                           box.conf], capture_output=True, text=True)
    assert said.returncode == 0
    warning = said.stderr.split("]: ")[1]
    assert warning.endswith("0.0.0.0/0 may relay without a login: that is an "
                            "open relay\n")
    assert f"note: {warning}" in notes
    box.configure(relay='local_mailers = [ "esmtp" ];')
    assert "would open the relay" in box.err("check-config", code=EX_CONFIG)
    box.err("check-config", "/nonexistent.conf", code=EX_NOINPUT)
    # what is found only when it is used has its place, too
    box.configure(relay='sender_binding = "domain";\n'
                  'sender_addresses = [ "users" ];')
    with open(box.conf) as f:
        line = f.read().split("sender_addresses")[0].count("\n") + 1
    assert (f"{box.conf}:{line}: relay.sender_addresses: 'users': expected"
            in box.err("check-config", code=EX_CONFIG))


def dumped(box, *args):
    return {v.pop("key"): v for v in jsons(box.out("dump-config", "--json",
                                                   *args))}


def test_dump_config_origins(box):
    more = os.path.join(box.path, "more.conf")
    with open(more, "w") as out:
        out.write('\nreply: { no_login = "\\"no\\" \\\\ for {client}"; };\n')
    with open(box.conf, "a") as out:
        out.write('@include "%s"\n' % more)
    got = dumped(box)
    assert got["logins.database"] == {"value": box.logins, "default": False,
                                      "file": box.conf, "line": 2}
    assert got["audit.queue"] == {"value": 65536, "default": True,
                                  "file": None, "line": None}
    assert got["logins.window"]["value"] == "30m"
    assert got["relay.never_authorize"]["value"] == ["127.0.0.0/8", "::1"]
    assert got["collector.sources"]["value"] == [{"file": box.log}]
    assert got["collector.custom"]["value"] == []
    assert got["reply.no_login"]["file"] == more
    assert got["reply.no_login"]["line"] == 2
    assert got["reply.no_login"]["value"] == '"no" \\ for {client}'
    text = box.out("dump-config")
    assert "    # %s:2\n    no_login = " % more in text
    assert '    # default\n    queue = 65536;\n' in text


@pytest.mark.parametrize("text", [
    "", "logins: { window = 91; keep = \"36h\"; };",
    """relay: { mode = "monitor"; never_authorize = [ "own", "10.0.0.0/8" ];
       local_domains = [ "postfix:/etc/postfix", ".b.test" ];
       trusted_networks = ( "2001:db8::/32" ); collector_grace = "0s"; };
       milter: { listen = ""; mode = "0600"; };
       audit: { record = "all"; durability = "none"; };
       reply: { denied = "quote\\"back\\\\slash %s"; };
       collector: { servers = [ "dovecot", "courier" ];
         sources = ( { file = "/a \\"b\\"\\t\\x1b[2J\\xff"; },
           { file = "/\\xc3\\xbc"; }, { stdin = true; },
           { journal = "system"; }, { socket = "/run/x"; } );
         custom = ( { program = "p"; pattern = "^\\\\S+ (?<ip>\\\\S+)$"; },
           { program = "q"; pattern = "^x$"; unit = "q.service"; } );
         mirror = ( { file = "/m/a"; format = "cidr"; value = "OK yes"; },
           { file = "/m/b.db"; format = "relayers.db"; } ); };"""])
def test_dump_config_loads_to_the_same(box, text):
    """What is printed is a configuration, and of the same values."""
    with open(box.conf, "w") as out:
        out.write(text)
    want = dumped(box)
    dump = os.path.join(box.path, "dump.conf")
    with open(dump, "w") as out:
        out.write(box.out("dump-config"))
    got = dumped(box, dump)
    assert {k: v["value"] for k, v in got.items()} == \
        {k: v["value"] for k, v in want.items()}
    assert {v["file"] for v in got.values()} == {dump}
    assert len({v["line"] for v in got.values()}) == len(got)


def test_dump_config_knows_every_key_of_the_manual(box):
    with open(os.path.join(TOP, "docs/man/popgate.conf.5")) as man:
        section, keys = None, set()
        for line in man:
            if line.startswith(".Ss "):
                section = line.split()[1]
            elif line.startswith(".It Ic ") and section is not None:
                keys.add("%s.%s" % (section, line.split()[2]))
    assert set(dumped(box)) == keys


def test_dump_config_bad_missing_default(box):
    with open(box.conf, "a") as out:
        out.write("logins2: { };")
    assert "logins2" in box.err("dump-config", code=EX_CONFIG)
    box.err("dump-config", "/nonexistent.conf", code=EX_NOINPUT)


def expected_wiring(box, name):
    with open(os.path.join(TOP, "etc", name)) as text:
        return text.read().replace("unix:/run/popgate/",
                                   f"unix:{box.path}/")


@pytest.mark.parametrize("args,name", [
    (["postfix"], "postfix/closed.cf"),
    (["postfix", "--socketmap"], "postfix/closed-socketmap.cf"),
    (["sendmail"], "sendmail/closed.m4")])
def test_wiring_is_the_tested_one(box, args, name):
    assert box.out("wiring", *args) == expected_wiring(box, name)


@pytest.mark.parametrize("mta,name", [
    ("postfix", "postfix/sole-gate.cf"),
    ("sendmail", "sendmail/sole-gate.m4")])
def test_wiring_sole_gate_spells_out_the_danger(box, mta, name):
    done = box.run("wiring", mta, "--sole-gate")
    assert done.stdout == expected_wiring(box, name)
    assert "DANGER" in done.stdout and "DANGER" in done.stderr
    assert "OPEN RELAY" in done.stdout


def test_wiring_of_inet_listeners(box):
    with open(box.conf, "w") as out:
        out.write('milter: { listen = "inet:8891@127.0.0.1"; };\n'
                  'permit: { policy = "inet:[::1]:8892"; '
                  'socketmap = "inet:127.0.0.1:8893"; };\n')
    text = box.out("wiring", "postfix")
    assert "inet:127.0.0.1:8891," in text and "inet:[::1]:8892," in text
    text = box.out("wiring", "sendmail")
    assert "inet:8893@127.0.0.1" in text and "inet:8891@127.0.0.1" in text


def test_wiring_without_a_permit_channel(box):
    with open(box.conf, "w") as out:
        out.write("")
    assert "permit.policy" in box.err("wiring", "postfix", code=EX_CONFIG)
    assert "permit.socketmap" in box.err("wiring", "sendmail",
                                         code=EX_CONFIG)


def test_status_and_health_of_nothing(box):
    out = box.out("status")
    assert "CRITICAL  policy channel" in out
    done = box.run("health", code=2)
    assert done.stdout.startswith("POPGATE CRITICAL - ")
    assert json.loads(box.out("status", "--json"))["state"] == "CRITICAL"
    with open(box.conf, "w") as out:
        out.write("rubbish")
    assert "UNKNOWN" in box.run("health", code=3).stdout
    box.configure()
    box.err("reload", code=EX_UNAVAILABLE)


def test_status_of_a_silent_server(box):
    now = int(time.time())
    box.fill_logins()
    box.fill_audit([])
    db = sqlite3.connect(box.logins)
    with db:
        for server, reason, lines, since, sample in (
                ("dovecot", "login", 50, 0, ""),
                ("dovecot", "not-a-login", 5000, 5000, ""),
                ("courier", "login", 50, 0, ""),
                ("courier", "failed-login", 30, 2, ""),
                ("cyrus", "unknown-shape", 40, 40, HOSTILE)):
            db.execute("INSERT INTO source_count VALUES (?,?,?,?,?,?,?,?,?)",
                       ("file:" + box.log, server, reason, lines, since,
                        now - 99999, now - 9000, sample,
                        9000 if server == "courier" else 0))
    db.close()
    out = box.out("status")
    assert re.search(r"WARNING +server dovecot .*5000 lines, 0 logins in 2 h: "
                     r"format changed\?", out)
    assert re.search(r"WARNING +server dovecot .*: 0 lines in 2 h: stopped", out)
    assert not re.search(r"server courier .*: 0 lines", out)
    assert re.search(r"OK +server courier", out)
    assert re.search(r"WARNING +server cyrus .*40 lines, 0 logins in 27 h: "
                     r"format changed\?; not understood: evil", out)


def test_sql(box):
    if not shutil.which("sqlite3"):
        pytest.skip("sqlite3 is not here")
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    box.fill_audit([{}])
    assert box.out("sql", "SELECT client FROM relay_client") == \
        "192.0.2.1\n"
    assert box.out("sql", "SELECT count(*) FROM audit.decision") == "1\n"
    for table in ("login", "audit.decision"):
        done = subprocess.run([CTL, "-c", box.conf, "sql",
                               "DELETE FROM " + table], capture_output=True,
                              text=True)
        assert done.returncode != 0 and "readonly" in done.stderr


def test_completion(box):
    script = box.out("completion", "bash")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    done = subprocess.run(
        ["bash", "-c", script + """
COMP_WORDS=(popgatectl -c x dec); COMP_CWORD=3; _popgatectl
echo "${COMPREPLY[@]}"
COMP_WORDS=(popgatectl decisions --fo); COMP_CWORD=2; _popgatectl
echo "${COMPREPLY[@]}"
COMP_WORDS=(popgatectl wiring p); COMP_CWORD=2; _popgatectl
echo "${COMPREPLY[@]}"
"""], capture_output=True, text=True)
    assert done.stdout == "decisions\n--follow\npostfix\n", done
    script = box.out("completion", "zsh")
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n"], input=script, text=True, check=True)


# --- the example queries ----------------------------------------------------

QUERIES = sorted(f for f in os.listdir(os.path.join(TOP, "sql/queries"))
                 if f.endswith(".sql")) if os.path.isdir(
                     os.path.join(TOP, "sql/queries")) else []


def manual():
    with open(os.path.join(TOP, "docs/man/popgate-sql.5")) as man:
        return man.read()


def test_manual_names_every_table_and_column(box):
    box.fill_logins()
    box.fill_audit([])
    text = manual()
    for file, name in ((box.logins, "logins.db"), (box.audit, "audit.db")):
        db = sqlite3.connect(file)
        for (table, kind) in db.execute(
                "SELECT name, type FROM sqlite_master WHERE type IN "
                "('table', 'view') AND name NOT LIKE 'sqlite%'").fetchall():
            part = text[text.index(".Ss %s: %s" % (
                name, table if kind == "table" else "views")):]
            part = re.split(r"\n\.S[sh] ", part, maxsplit=1)[0]
            if kind == "view":
                part = part[part.index(".It Va %s " % table):]
                part = part.split("\n.It Va", 1)[0]
            for row in db.execute("PRAGMA table_info(%s)" % table):
                assert re.search(r"\b%s\b" % row[1], part), (table, row[1])
        db.close()


def test_manual_queries_run(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    box.fill_audit([{"login_user": "alice", "queue_id": "4ABC"}])
    found = re.findall(r"^\.Bd -literal -offset indent\n(SELECT.*?)^\.Ed",
                       manual(), re.M | re.S)
    assert len(found) >= 10
    for sql in found:
        audit = re.search(r"FROM (decision|tally|relay_by|sender_by)", sql)
        db = sqlite3.connect(box.audit if audit else box.logins)
        db.execute(sql).fetchall()
        db.close()


@pytest.mark.parametrize("name", QUERIES)
def test_example_query(box, name):
    """Runs, says what it is for, and never scans a whole table."""
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    box.fill_audit([{"login_user": "alice", "queue_id": "4A"}])
    with open(os.path.join(TOP, "sql/queries", name)) as text:
        sql = text.read()
    assert sql.startswith("-- ")
    db = sqlite3.connect(box.logins)
    db.execute("ATTACH ? AS audit", (box.audit,))
    body = re.sub(r"--.*", "", sql)
    for statement in filter(str.strip, body.split(";")):
        names = set(re.findall(r"[:@]([a-z_]+)", re.sub(
            r"'[^']*'", "", statement)))
        values = {n: {"client": "192.0.2.1", "user": "alice",
                      "queue_id": "4A"}.get(n) for n in names}
        db.execute(statement, values).fetchall()
        plan = [row[3] for row in db.execute(
            "EXPLAIN QUERY PLAN " + statement, values)]
        # by an index from end to end is the whole table, too
        for step in plan:
            assert not re.match(r"SCAN (login|login_event|decision)\b",
                                step), (name, plan)
    db.close()


# --- limits -----------------------------------------------------------------

LIMITS = """never_authorize = [ ]; }; limits: { client_recipients = "3/1h"; user_recipients = "4/1h";
    client_messages = "off"; client_senders = "off"; user_messages = "off";
    user_clients = "off"; """


def breach(box, kind, subject, until=3000, setting="client_recipients"):
    now = time.time()
    with box.sql(box.audit, "audit") as db:
        db.execute("INSERT INTO breach (at, kind, subject, setting, allowed, "
                   "client, user, sender, denied_until) VALUES (?,?,?,?,"
                   "'3/1h','192.0.2.1',?,'a@b',?)",
                   (int(now * 1000), kind, subject, setting, HOSTILE,
                    until and int(now) + until))
    db.close()


def row(text, n):
    found = [line for line in lines(text)
             if re.match(r"(rows:)? +%d +(yes|no) " % n, line)]
    return found[0] if found else None


def test_check_counts_as_the_milter_does(box):
    box.configure(relay=LIMITS)
    box.fill_logins([("192.0.2.1", "alice", -5, 900),
                     ("192.0.2.2", "alice", -5, 900)])
    ask = ["check", "--client", "192.0.2.1", "--to", "x@far.test"]
    # nothing was ever decided
    assert "not known" in row(box.out(*ask), 9)
    box.fill_audit([{"login_user": "alice", "at": -3900},
                    {"login_user": "alice"}, {"login_user": "alice"}])
    assert "no " in row(box.out(*ask), 9)
    assert row(box.out(*ask), 9).endswith("client_recipients 2 of 3/1h, "
                                          "user_recipients 2 of 4/1h")
    # too old, refused, our own, another client's: none of them counts
    box.fill_audit([{"login_user": "alice", "verdict": "reject"},
                    {"login_user": "alice", "reason": "local-recipient"},
                    {"login_user": "bob", "client": "192.0.2.9"}])
    assert "client_recipients 2 of 3/1h" in row(box.out(*ask), 9)
    box.fill_audit([{"login_user": "bob"}])
    answer = json.loads(box.out(*ask, "--json"))
    assert (answer["verdict"], answer["rule"]) == ("tempfail", 9)
    assert answer["reason"] == "rate-limited"
    assert answer["code"] == "450"
    assert box.run(*ask, "--exit-code", code=75)
    assert "rate-limited: client_recipients 3 of 3/1h" in \
        box.out("why", "192.0.2.1")
    # an address of the same user has its own count, and the user's
    assert "client_recipients 0 of 3/1h, user_recipients 2 of 4/1h" in \
        box.out("check", "--client", "192.0.2.2", "--to", "x@far.test")
    # AUTH counts for the user; a trusted network doesn't count
    text = box.out(*ask, "--auth", "carol")
    assert "user_recipients 0 of 4/1h" in row(text, 9)
    assert "client_" not in row(text, 9)
    assert "answer:  accept (authenticated, row 3)" in text
    box.fill_audit([{"auth_user": "carol", "reason": "authenticated"}] * 4)
    text = box.out(*ask, "--auth", "carol")
    assert "answer:  tempfail (rate-limited, row 9)" in text
    box.configure(relay=LIMITS + "authenticated = false; ")
    assert "answer:  accept (authenticated, row 3)" in \
        box.out(*ask, "--auth", "carol")


def test_check_leaves_out_users_who_are_denied(box):
    """As the milter does: what such a user has left is nobody's."""
    box.configure(relay=LIMITS)
    box.fill_logins([("192.0.2.1", "alice", -5, 900),
                     ("192.0.2.1", "bob", -5, 900)])
    box.fill_audit([{"login_user": "bob", "client": "192.0.2.9"}] * 4)
    ask = ["check", "--client", "192.0.2.1", "--to", "x@far.test"]
    assert "answer:  accept (recent-login, row 10)" in box.out(*ask)
    breach(box, "user", "alice", setting="user_recipients")
    assert "answer:  tempfail (rate-limited, row 9)" in box.out(*ask)
    breach(box, "user", "bob", setting="user_recipients")
    assert "answer:  reject (denied, row 2)" in box.out(*ask)


def test_denied_for_a_breach(box):
    box.fill_logins([("192.0.2.1", "alice", -5, 900),
                     ("2001:db8::7", "alice", -5, 900)])
    box.fill_audit([])
    assert "Nobody is denied." in box.out("deny", "--list")
    assert "not denied" in box.err("undeny", "192.0.2.1", code=1)
    breach(box, "client", "2001:db8::/64")
    breach(box, "user", "Mallory" + HOSTILE, setting="user_recipients")
    breach(box, "client", "192.0.2.1", until=None)
    listed = jsons(box.out("deny", "--list", "--json"))
    assert [(d["subject"], d["kind"], d["reason"]) for d in listed] == [
        ("2001:db8::/64", "client", "over limits.client_recipients = 3/1h"),
        ("Mallory" + HOSTILE, "user", "over limits.user_recipients = 3/1h")]
    # all of an IPv6 network is one client
    for client in ("2001:db8::7", "2001:db8::8"):
        assert "Policy row 2, denied: over limits.client_recipients" in \
            box.out("why", client)
    assert "may relay" in box.out("why", "192.0.2.1")
    why = json.loads(box.out("why", "192.0.2.1", "--json"))
    assert why["limits"][0]["setting"] == "client_recipients"
    assert why["limits"][0]["denied_until"] is None
    ask = ["check", "--client", "192.0.2.1", "--to", "x@far.test"]
    assert "(denied, row 2)" in box.out(*ask, "--auth", "MALLORY" + HOSTILE)
    assert "(authenticated, row 3)" in box.out(*ask, "--auth", "mallory")
    # undeny: any address of the network, any case of the user
    assert "is denied no longer" in box.out("undeny", "2001:db8::9")
    assert "is denied no longer" in box.out("undeny", "--user",
                                            "mallory" + HOSTILE)
    assert "was not denied\nIt went over" in box.out("undeny", "192.0.2.1")
    assert "Nobody is denied." in box.out("deny", "--list")
    assert "not denied" in box.err("undeny", "2001:db8::9", code=1)
    assert "let in again" in box.out("why", "2001:db8::7")
    # a new breach is a new denial
    time.sleep(0.01)
    breach(box, "client", "2001:db8::/64")
    assert "2001:db8::/64" in box.out("deny", "--list")
    # an admin's denial and ours: undeny ends both
    box.out("deny", "2001:db8::/64")
    assert len(jsons(box.out("deny", "--list", "--json"))) == 2
    box.out("undeny", "2001:db8::/64")
    assert "Nobody is denied." in box.out("deny", "--list")



def test_several_users_are_charged(box):
    """Whom a recipient of a client with several users counts for, as the
    milter has it: each that has room, by login and not by AUTH."""
    box.configure(relay=LIMITS)
    box.fill_logins([("192.0.2.1", "alice", -5, 900),
                     ("192.0.2.1", "BOB", -5, 900),
                     ("192.0.2.1", "bob", -5, 900),
                     ("192.0.2.2", "alice", -5, 900)])
    other = ["check", "--client", "192.0.2.2", "--to", "x@far.test"]
    box.fill_audit([{"login_user": "bob,alice", "client": "192.0.2.1"}] * 2 +
                   [{"login_user": "ALICE", "client": "192.0.2.9"}] * 2 +
                   # given up before DATA
                   [{"login_user": "alice", "reply": "aborted"}] * 3)
    # bob has most left
    assert "client_recipients 2 of 3/1h, user_recipients 2 of 4/1h" in \
        box.out("check", "--client", "192.0.2.1", "--to", "x@far.test")
    # alice alone has nothing left; by AUTH she has
    text = box.out(*other)
    assert "answer:  tempfail (rate-limited, row 9)" in text
    assert "user_recipients 4 of 4/1h" in text
    assert "answer:  accept (authenticated, row 3)" in \
        box.out(*other, "--auth", "alice")
    assert "user_recipients 0 of 4/1h" in \
        row(box.out(*other, "--auth", "alice"), 9)
    assert "2 users logged in from there" in box.out("why", "192.0.2.1")
    text = box.out("dependents")
    assert "bob,alice" not in text
    assert "2 more recipients were relayed for clients with several" in text


def test_logins_denied_for_a_breach(box):
    """By logins: they are worth nothing, when it is so of all users of the
    client; AUTH works. By AUTH: both are."""
    box.fill_logins([("192.0.2.1", "alice", -5, 900),
                     ("192.0.2.2", "alice", -5, 900),
                     ("192.0.2.2", "bob", -5, 900)])
    box.fill_audit([])
    breach(box, "login", "ALICE", setting="user_recipients")
    listed = jsons(box.out("deny", "--list", "--json"))
    assert [(d["subject"], d["kind"], d["reason"]) for d in listed] == [
        ("ALICE", "user", "over limits.user_recipients = 3/1h by logins")]
    ask = ["check", "--client", "192.0.2.1", "--to", "x@far.test"]
    assert "(denied, row 2)" in box.out(*ask)
    assert "(authenticated, row 3)" in box.out(*ask, "--auth", "alice")
    assert "may relay" in box.out("why", "192.0.2.2")
    breach(box, "login", "bob", setting="user_recipients")
    assert "Policy row 2, denied" in box.out("why", "192.0.2.2")
    assert "over limits.user_recipients" in box.out("why", "alice")
    assert "is denied no longer" in box.out("undeny", "--user", "alice")
    assert "may relay" in box.out("why", "192.0.2.2")
    time.sleep(0.01)
    breach(box, "user", "alice", setting="user_recipients")
    assert "(denied, row 2)" in box.out(*ask)
    assert "(denied, row 2)" in box.out(*ask, "--auth", "alice")
    assert "is denied no longer" in box.out("undeny", "--user", "alice")
    assert "may relay" in box.out("why", "192.0.2.1")
