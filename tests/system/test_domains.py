# SPDX-License-Identifier: ISC
"""Our own domains, by "postfix:DIR": a real Postfix's answer to RCPT and
popgate's must be the same, whatever form its lists have."""
import json
import os
import pwd
import re
import signal
import subprocess
import sys

import pytest

from lab.box import CTL, MILTER
from lab.client import Smtp
from lab.daemons import Daemons
from lab.postfix import SERVICES
from lab.process import Process, need, wait_for
from lab.site import TOP, NamespaceSite

MAIN = """\
compatibility_level = {level}
config_directory = {etc}
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
multi_instance_enable = no
import_environment = MAIL_CONFIG
maillog_file = {root}/maillog
maillog_file_prefixes = {root}
myhostname = mail.lab.test
max_use = 1
mynetworks =
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions =
smtpd_reject_unlisted_recipient = no
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
smtpd_junk_command_limit = 1000
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
alias_maps =
alias_database =
local_recipient_maps =
proxy_read_maps = $mydestination $relay_domains $virtual_mailbox_domains
"""

MASTER = "smtp inet n - n - - smtpd\n" + SERVICES

ASKED = ["a.test", "A.Test", "a.test.", "x.a.test", "y.x.a.test", "xa.test",
         "b.test", "x.b.test", "c.test", "x.c.test", "d.test", "r.test",
         "x.r.test", "nobody.test", "shop.com", "x.shop.com", "shop.org",
         "localhost", "[192.0.2.25]", "[192.0.2.26]", "[203.0.113.1]",
         "[IPv6:2001:db8:25::25]", "[IPv6:2001:db8:25::26]",
         # what popgate itself asks for
         "popgate-has-asked-all.invalid", "x.popgate-has-asked-all.invalid"]

TABLE = "a.test x\nB.Test y\n.c.test z\nuser@d.test x\nr.test\n"
REGEXP = """\
# a comment
/^a\\.test$/ OK
!/^(a|b|x\\.b|c|x\\.c|d|r|x\\.r)\\.test$|^shop|^x|^xa|^y|nobody|^[0-9[]|local/i
    negated, on a line that goes on
if /^x\\./
/^x\\.(.*)\\.TEST$/ $1
/^x\\.shop\\./ none
endif
if !/^x\\./
/^[cd]\\.Test$/x never
endif
/^D\\.test$/i only in upper case
"""
PCRE = """\
/^(?:b|c)\\.TEST$/ OK
if /^x\\./
if !/shop/
/^x\\.a\\.(?=test)/ ${1}
/^(x)\\.a\\.(?=test)/ ${1}
endif
endif
/^  d \\. test $/x OK
"""


class Case:
    """postfix: lines of main.cf.  files: beside it.  world: Postfix has
    everything in relay_domains, popgate must not.  warned: what popgate
    says.  level: compatibility level."""

    def __init__(self, name, postfix, files=(), world=False, warned=None,
                 level="3.6", made=(), asked=ASKED):
        self.name, self.postfix, self.files = name, postfix, dict(files)
        self.world, self.warned, self.level = world, warned, level
        self.made = made        # commands, in the directory
        self.asked = asked


CASES = [
    Case("names", "mydestination = a.test\nvirtual_alias_domains = b.test\n"
         "virtual_mailbox_domains = c.test, d.test\nrelay_domains = r.test"),
    Case("the defaults", ""),
    Case("the defaults of old", "mydestination = a.test $myhostname .c.test",
         level="0"),
    Case("parents match", "relay_domains = a.test, .b.test"),
    Case("parents don't match", "relay_domains = a.test, .b.test\n"
         "parent_domain_matches_subdomains ="),
    Case("no parents but of relay_domains", "mydestination = a.test .b.test\n"
         "virtual_mailbox_domains = c.test\nvirtual_alias_domains = .r.test\n"
         "parent_domain_matches_subdomains = mydestination, relay_domains, "
         "virtual_mailbox_domains, virtual_alias_domains"),
    Case("a star is no pattern", "relay_domains = *, a.test\n"
         "mydestination = *", warned=r"relay_domains: '\*' is no pattern"),
    Case("exceptions", "relay_domains = !x.a.test a.test !b.test b.test "
         "c.test !x.c.test"),
    Case("exceptions twice denied", "mydestination = !!a.test !b.test\n"
         "relay_domains = b.test"),
    Case("an exception that is a table", "relay_domains = "
         "!inline:{x.a.test=no}, a.test, !regexp:@DIR@/re, r.test",
         {"re": "/^x\\.r/ no\n"}),
    Case("names in upper case, dots at the end", "mydestination = A.TEST "
         "b.test. C.test"),
    Case("settings that name others", "mydestination = $myhostname, "
         "a.test\nrelay_domains = $mydestination, ${x?b.test}${x:c.test}"),
    Case("a file", "mydestination = @DIR@/list", {
        "list": "# a.test\na.test, b.test\n c.test\n!x.test\n#b\n"}),
    Case("a file with comments behind names", "relay_domains = @DIR@/list", {
        "list": "a.test # b.test\n  # c.test\nd.test,#r.test\nr#.test"}),
    Case("a comment that is none of main.cf's", "mydestination = a.test "
         "# b.test\n# c.test\n   d.test"),
    Case("files that name files and tables", "relay_domains = !@DIR@/not "
         "@DIR@/list", {"not": "x.a.test\n!d.test\n", "list":
                        "@DIR@/more\ninline:{r.test=x}\n",
                        "more": "a.test b.test"}),
    Case("no such file", "mydestination = a.test\nrelay_domains = b.test "
         "@DIR@/nothing c.test", warned="relay_domains: .*/nothing can't be "
         "read: No such file"),
    Case("hash", "mydestination = hash:@DIR@/table", {"table": TABLE},
         made=["postmap hash:table"]),
    Case("hash, parents match", "relay_domains = hash:@DIR@/table",
         {"table": TABLE}, made=["postmap hash:table"]),
    Case("btree, parents don't match", "relay_domains = btree:@DIR@/table\n"
         "parent_domain_matches_subdomains =", {"table": TABLE},
         made=["postmap btree:table"]),
    Case("a hash not made yet", "mydestination = a.test\n"
         "virtual_mailbox_domains = hash:@DIR@/nothing\n"
         "relay_domains = b.test", warned="hash:.*/nothing can't be read"),
    Case("texthash", "relay_domains = texthash:@DIR@/table",
         {"table": TABLE}),
    Case("inline", "relay_domains = inline:{a.test=x, { B.test = y z }, "
         "{.c.test=x}}"),
    Case("virtual_alias_maps have domains, too", "virtual_alias_maps = "
         "inline:{a.test=x, {user@b.test=y}} regexp:@DIR@/re",
         {"re": "/@c\\.test$/ z\n/^d\\.test$/ z\n"}),
    Case("regexp", "mydestination = regexp:@DIR@/re", {"re": REGEXP}),
    Case("regexp of relay domains", "relay_domains = regexp:@DIR@/re",
         {"re": "/^a\\.test$/ x\n/(^|\\.)b\\.test$/ x\n"}),
    Case("pcre", "relay_domains = pcre:@DIR@/re", {"re": PCRE}),
    Case("pcre that popgate leaves to postmap", "relay_domains = "
         "pcre:@DIR@/re", {"re": "/^a\\.test$/!/x/ OK\n/^(b)\\.test/ $2\n"
                           "/^c\\.test$/ OK\n"}),
    Case("a broken regexp", "relay_domains = regexp:@DIR@/re",
         {"re": "/(a/ x\n/^b\\.test$/ x\n"}),
    Case("no pcre file", "relay_domains = a.test pcre:@DIR@/nothing b.test",
         warned="pcre:.*/nothing can't be read"),
    Case("cidr", "mydestination = cidr:@DIR@/cidr a.test",
         {"cidr": "0.0.0.0/0 OK\n::/0 OK\n"}),
    Case("everything stays here", "mydestination = a.test static:all"),
    Case("an address without brackets", "mydestination = static:all",
         asked=["a.test", "192.0.2.25", "[192.0.2.26]"]),
    Case("everything but one stays here", "virtual_mailbox_domains = "
         "!b.test, pcre:@DIR@/re", {"re": "/./ all\n"}),
    Case("a static table of all", "mydestination = a.test\n"
         "relay_domains = static:all", world=True,
         warned="static:all has every domain there is"),
    Case("a regexp of all", "mydestination = a.test\n"
         "relay_domains = r.test, regexp:@DIR@/re",
         {"re": "/^[a-z[0-9].*/ x\n"}, world=True,
         warned="regexp:.* has every domain there is"),
    Case("all but ours", "mydestination = a.test\n"
         "relay_domains = !nobody.test, !r.test, static:x", world=True,
         warned="static:x has every domain there is"),
    Case("all of com", "mydestination = a.test\nrelay_domains = com r.test",
         world=True, warned="'com' holds every domain below it"),
    Case("unionmap", "relay_domains = unionmap:{inline:{a.test=x}, "
         "regexp:@DIR@/re}", {"re": "/^x\\.b\\.test$/ x\n"}),
    Case("unionmap with one that fails", "relay_domains = "
         "unionmap:{inline:{a.test=x},hash:@DIR@/nothing}",
         warned="hash:.*/nothing can't be read"),
    Case("pipemap", "relay_domains = pipemap:{inline:{a.test=one,b.test=two},"
         "inline:{one=x}}"),
    Case("sqlite", "virtual_mailbox_domains = sqlite:@DIR@/sqlite.cf\n"
         "relay_domains = r.test", {
             "sqlite.cf": "dbpath = @DIR@/db\n"
             "query = SELECT d FROM t WHERE d = '%s'\n"},
         made=["sqlite3 db \"CREATE TABLE t (d); INSERT INTO t VALUES "
               "('a.test'), ('x.b.test')\""]),
    Case("sqlite of relay domains, behind proxymap", "relay_domains = "
         "proxy:sqlite:@DIR@/sqlite.cf", {
             "sqlite.cf": "dbpath = @DIR@/db\n"
             "query = SELECT d FROM t WHERE d = '%s'\n"},
         made=["sqlite3 db \"CREATE TABLE t (d); INSERT INTO t VALUES "
               "('a.test'), ('x.b.test')\"", "chmod 644 db"]),
    Case("a query that finds everything", "mydestination = a.test\n"
         "relay_domains = sqlite:@DIR@/sqlite.cf", {
             "sqlite.cf": "dbpath = @DIR@/db\nquery = SELECT 1\n"},
         made=["sqlite3 db 'CREATE TABLE t (d)'"], world=True,
         warned="sqlite:.* has every domain there is"),
    Case("a table that fails", "mydestination = a.test\n"
         "virtual_mailbox_domains = fail:always\n"
         "relay_domains = b.test", warned="fail:always can't be asked"),
    Case("an exception that fails", "mydestination = a.test !fail:always "
         "b.test", warned="fail:always can't be asked"),
    Case("no such type", "mydestination = a.test\n"
         "relay_domains = b.test ldap:@DIR@/nothing",
         warned="ldap:.* can't be asked: .*unsupported dictionary type"),
    Case("socketmap", "relay_domains = "
         "socketmap:unix:@DIR@/socketmap:domains, d.test"),
    Case("tcp", "mydestination = tcp:127.0.0.1:5999"),
    # each lookup takes Postfix some seconds, as it tries again and again
    Case("nobody behind tcp", "mydestination = a.test tcp:127.0.0.1:5998",
         asked=["a.test", "nobody.test"],
         warned="tcp:127.0.0.1:5998 can't be asked: "),
    Case("interfaces", "inet_interfaces = 127.0.0.1 192.0.2.25\n"
         "proxy_interfaces = 203.0.113.1 [2001:db8:25::26]\n"
         "mydestination = [192.0.2.26]"),
    Case("loopback only", "inet_interfaces = loopback-only\n"
         "inet_protocols = all"),
]


class Lab:
    """A real Postfix and a popgate-milter that reads its lists."""

    def __init__(self):
        self.site = NamespaceSite()
        self.serial = 0
        self.popgate = self.postfix = self.tables = None
        try:
            self.begin()
        except BaseException:
            self.close()
            raise

    def begin(self):
        self.root = self.site.root / "pf"
        self.site.make("pf/etc", "pf/queue", "pf/data", "popgate")
        self.etc = self.root / "etc"
        user = pwd.getpwnam("postfix")
        os.chown(self.root / "data", user.pw_uid, user.pw_gid)
        (self.etc / "master.cf").write_text(MASTER)
        self.configure(Case("begin", ""))
        self.tables = Process("tables", [
            sys.executable, TOP / "tests/system/lab/tables.py",
            self.etc / "socketmap", 5999], self.site.log)
        self.tables.start().accepts(("127.0.0.1", 5999))
        self.postfix = Process("postfix", [
            need("/usr/sbin/postfix", "postfix"), "-c", self.etc,
            "start-fg"], self.site.log)
        self.postfix.start().accepts(("127.0.0.1", 25))
        self.popgate = Daemons(self.site.root / "popgate")
        conf = self.popgate.conf
        conf.write_text(conf.read_text().replace(
            '[ "lab.test" ]', f'[ "postfix:{self.etc}" ]').replace(
                'user = "root"; listen', 'user = "root"; mode = "0666"; '
                'listen'))
        self.popgate.start("collector")
        self.popgate.start("milter")

    def close(self):
        if self.tables is not None:
            self.tables.stop()
        if self.popgate is not None:
            self.popgate.close()
        if self.postfix is not None:
            subprocess.run(["/usr/sbin/postfix", "-c", self.etc, "stop"],
                           capture_output=True)
            self.postfix.stop()
        self.site.close()

    def fill(self, text):
        return text.replace("@DIR@", str(self.etc))

    def configure(self, case):
        for name, text in case.files.items():
            (self.etc / name).write_text(self.fill(text))
        (self.etc / "db").unlink(missing_ok=True)
        for command in case.made:
            subprocess.run(command, shell=True, check=True, cwd=self.etc,
                           env={**os.environ, "MAIL_CONFIG": str(self.etc)})
        self.serial += 1
        self.canary = f"canary{self.serial}.test"
        main = MAIN.format(etc=self.etc, root=self.root, level=case.level)
        main += self.fill(case.postfix) + "\n"
        # first in mydestination, so that it is known whatever fails
        main, n = re.subn(r"(?m)^mydestination =",
                          f"mydestination = {self.canary}", main)
        if n == 0:
            main += (f"mydestination = {self.canary} $myhostname "
                     "localhost.$mydomain localhost\n")
        (self.etc / "main.cf").write_text(main)

    def set(self, case):
        """Both run by it, when this returns."""
        self.configure(case)
        subprocess.run(["/usr/sbin/postfix", "-c", self.etc, "reload"],
                       check=True, capture_output=True)
        before = self.popgate.said(MILTER).count(" is in force")
        self.said_before = len(self.popgate.said(MILTER))
        self.popgate.processes["milter"].send_signal(signal.SIGUSR1)
        wait_for(lambda: self.popgate.said(MILTER).count(" is in force") >
                 before, lambda: self.popgate.said(MILTER))
        wait_for(lambda: self.postfix_says([self.canary])[self.canary] ==
                 "ours", "Postfix's reload")

    def said(self):
        return self.popgate.said(MILTER)[self.said_before:]

    def postfix_says(self, domains):
        found = {}
        with Smtp(("127.0.0.1", 25)) as smtp:
            assert smtp.command("MAIL FROM:<s@x.test>").code == 250
            for domain in domains:
                reply = smtp.command(f"RCPT TO:<postmaster@{domain}>")
                found[domain] = (
                    "unknown" if reply.code == 451 else
                    "foreign" if "Relay access denied" in reply.text or
                    "Bad recipient address syntax" in reply.text else
                    "ours" if reply.code == 250 else str(reply))
        return found

    def popgate_says(self, domains):
        """"ours" or "foreign"; nothing where it leaves it to Postfix."""
        found = {}
        for domain in domains:
            answer = self.popgate.ask("203.0.113.9", f"postmaster@{domain}")
            found[domain] = ("ours" if answer.startswith("action=DUNNO")
                             else "foreign" if re.match(r"action=[45]5\d ",
                                                        answer)
                             else answer)
        return found

    def run(self, *args):
        return subprocess.run([CTL, "-c", self.popgate.conf, *args],
                              capture_output=True, text=True, check=True)

    def check(self, domain):
        """"ours", "foreign" or "unknown", by popgatectl."""
        done = self.run(
            "check", "--json", "--client", "203.0.113.9", "--to",
            f"postmaster@{domain}")
        said = json.loads(done.stdout)
        return {"local": "ours", "relay": "foreign"}.get(
            said["class"], said["class"])


@pytest.fixture(scope="module")
def lab():
    lab = Lab()
    try:
        yield lab
    finally:
        lab.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_same(lab, case):
    lab.set(case)
    postfix = lab.postfix_says(case.asked)
    popgate = lab.popgate_says(case.asked)
    differ = {d: (postfix[d], popgate[d]) for d in case.asked
              if postfix[d] != popgate[d] and
              # left to Postfix
              not (postfix[d] == "unknown" and popgate[d] == "ours")}
    if case.world:
        assert postfix["shop.com"] == "ours"
        assert popgate["shop.com"] == popgate["x.shop.com"] == "foreign"
        assert popgate["a.test"] == "ours"
        assert {popgate for _, popgate in differ.values()} == {"foreign"}
    else:
        assert differ == {}
    said = [line for line in lab.said().splitlines() if "main.cf: " in line]
    if case.warned is None:
        assert said == []
    else:
        assert any(re.search(case.warned, line) for line in said), said
        notes = lab.run("check-config").stderr
        assert re.search(case.warned, notes), notes
    if "unknown" in postfix.values():
        assert "ours" in postfix.values()
        for domain in ("a.test", "nobody.test"):
            assert lab.check(domain) == postfix[domain], domain


CLOSED = """\
smtpd_relay_restrictions =
    check_policy_service { unix:@POPGATE@/policy.sock, timeout=20s },
    reject_unauth_destination
"""
LOCK = """\
smtpd_milters = { unix:@POPGATE@/milter.sock, command_timeout=20s,
    default_action=tempfail }
"""


def break_postmap(broken):
    """/usr is this namespace's own."""
    path, away = "/usr/sbin/postmap", "/usr/sbin/postmap.away"
    if broken:
        os.rename(path, away)
        with open(path, "w") as script:
            script.write("#!/bin/sh\necho no tables today >&2\nexit 1\n")
        os.chmod(path, 0o755)
    else:
        os.replace(away, path)


def rcpts(domains):
    with Smtp(("127.0.0.1", 25)) as smtp:
        assert smtp.command("MAIL FROM:<s@x.test>").code == 250
        return [smtp.command(f"RCPT TO:<postmaster@{d}>") for d in domains]


def test_only_popgate_cannot_ask(lab):
    """The closed Postfix, which can, goes on taking mail for its own domains
    and refuses the rest; the milter puts off what it doesn't know."""
    sql = {"sqlite.cf": "dbpath = @DIR@/db\n"
           "query = SELECT d FROM t WHERE d = '%s'\n"}
    made = ["sqlite3 db \"CREATE TABLE t (d); "
            "INSERT INTO t VALUES ('a.test'), ('b.test')\""]
    lists = "relay_domains = sqlite:@DIR@/sqlite.cf\n"
    paths = lab.popgate.path
    permit, lock = (text.replace("@POPGATE@", str(paths))
                    for text in (CLOSED, LOCK))
    asked = ["a.test", "c.test", lab.canary]
    for wiring, want in ((permit, [250, 554, 250]),
                         (permit + lock, [451, 554, 250])):
        break_postmap(True)
        try:
            lab.set(Case("one", lists + wiring, sql, made=made))
            asked[2] = lab.canary
            said = rcpts(asked)
            assert [r.code for r in said] == want, said
        finally:
            break_postmap(False)
    assert "can't be decided now" in said[0].text
    assert re.search("relay_domains: sqlite:.* can't be asked: .*no tables "
                     "today", lab.said()), lab.said()
    # it can again: without a reload
    wait_for(lambda: [r.code for r in rcpts(asked)] == [250, 550, 250],
             "popgate's asking again")
