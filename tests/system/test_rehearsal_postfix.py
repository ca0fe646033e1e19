# SPDX-License-Identifier: ISC
"""popgatectl doctor rehearses Postfix: what strangers relay by on the real
server is shown by a dialogue, with the line that permits it; what is closed is
never called open.

tests/data/doctor-cases holds configurations, each judged by what the real
server did. A few of each kind are asked by default, for the time it takes;
POPGATE_ALL_CASES=1 asks all."""
import json
import os
import pathlib
import pwd
import re
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

from lab.process import need
from lab.site import BUILD, TOP

DATA = TOP / "tests/data/doctor-cases"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

# number: file and line of the cause; None: no stranger can show it
OPEN = {
    100: ("wl", 1), 102: ("rcpt", 1), 104: ("cl", 1), 106: ("snd", 4),
    108: ("r", 1), 110: ("main.cf", 19), 112: ("main.cf", 23),
    116: ("nets", 1), 118: ("main.cf", 15), 120: ("main.cf", 15),
    124: ("relay_domains", 2), 126: ("rd", 1), 128: ("main.cf", 23),
    130: ("main.cf", 23), 132: ("rcm", 1), 134: ("master.cf", 27),
    138: ("master.cf", 26), 140: ("main.cf", 19), 142: ("main.cf", 19),
    146: ("c", 1), 148: ("h", 1), 150: ("s", 1), 152: ("c", 1),
    190: ("main.cf", 19), 198: ("r", 1), 250: ("s", 1), 252: ("r", 1),
    256: ("cc", 1), 258: ("main.cf", 19), 260: ("master.cf", 4),
}
# Cases that no dialogue shows here, and what the reading says of them: the
# class of the machine's network, which is shown where that holds strangers
# (test_whoever_has_an_address_like_ours); a forwarder that no configuration names; a client's own
# name in a domain that the configuration trusts.
NOT_SHOWN = {122: ("postfix-mynetworks-style", "main.cf", 22), 136: None,
             196: ("postfix-client-name-permits", "c", 2)}
SOME = {100, 124, 132, 138, 142, 166, 178, 194, 198, 256, 258}


def cases():
    for line in (DATA / "cases.tsv").read_text().splitlines()[1:]:
        number, mta, _, truth = line.split("\t")
        n = int(number)
        if mta == "postfix" and n not in NOT_SHOWN and (
                n in SOME or os.environ.get("POPGATE_ALL_CASES")):
            yield n, truth.startswith("open")


@pytest.fixture
def run():
    need("/usr/lib/postfix/sbin/master", "postfix")
    path = pathlib.Path(tempfile.mkdtemp(prefix="rehearsal-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def certificate(run):
    (run / "certs").mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
         "/CN=mx", "-keyout", run / "certs/key.pem", "-out",
         run / "certs/cert.pem"], check=True, capture_output=True)


def install(run, number):
    """The configuration's files, as they were where it was judged."""
    source, = DATA.glob(f"{number}-postfix-*")
    path = run / str(number)
    (path / "etc").mkdir(parents=True)
    for name in ("queue", "data"):
        (path / name).mkdir()
    os.chown(path / "data", pwd.getpwnam("postfix").pw_uid, -1)
    certificate(run)
    for file in source.iterdir():
        if file.is_dir():
            shutil.copytree(file, path / file.name)
            continue
        text = file.read_text().replace("@RUN@", str(run)).replace(
            "@DIR@", str(run))
        where = "etc" if file.name in ("main.cf", "master.cf") else "."
        (path / where / file.name).write_text(text)
    main = (path / "etc/main.cf").read_text()
    for kind, table in re.findall(r"\b(hash|btree):([^\s,]+)", main):
        subprocess.run(["postmap", "-c", path / "etc", f"{kind}:{table}"],
                       check=True)
    if number == 140:
        with sqlite3.connect(path / "m.db") as db:
            db.execute("CREATE TABLE t(a, b)")
            db.execute("INSERT INTO t VALUES('friend.test', 'OK')")
    return path


def rehearse(path, *more, before=()):
    done = subprocess.run(
        [*before, BUILD / "popgatectl", "-c", path / "popgate.conf", "doctor", "--mta",
         "postfix", "--config-dir", path / "etc", "--json", *more],
        capture_output=True, text=True, timeout=200)
    assert done.returncode in (0, 1, 2), done.stderr
    return done.returncode, json.loads(done.stdout)["findings"]


@pytest.mark.parametrize("number,is_open", list(cases()))
def test_case(run, number, is_open):
    status, findings = rehearse(install(run, number))
    shown = [f for f in findings if f["id"] == "postfix-rehearsed-open"]
    assert "postfix-not-rehearsed" not in {f["id"] for f in findings}
    assert (status == 2) == bool(shown) == is_open, findings
    if is_open:
        got = {(pathlib.Path(f["file"]).name, f["line"]) for f in shown}
        assert got == {OPEN[number]}, shown
        assert all("RCPT TO:" in f["detail"] and f["fix"] for f in shown)
    else:
        # the other two kinds of the rehearsal that say what it did
        assert "postfix-rehearsed" in {f["id"] for f in findings} or \
            "postfix-not-shown" in {f["id"] for f in findings}


def closed(run, settings, files):
    """Case 162 with these settings and tables, besides what closes it."""
    path = install(run, 162)
    main = (path / "etc/main.cf").read_text()
    main = re.sub(r"(?m)^(smtpd_\w+_restrictions|relay_domains) *=.*\n", "",
                  main)
    (path / "etc/main.cf").write_text(main + settings.replace(
        "@DIR@", str(path)))
    for name, text in files.items():
        (path / name).write_text(text)
    return path


# Of Postfix's own documentation, in one: restriction classes (both examples),
# virtual hosting, a backup MX, a content filter with its re-injection, and
# submission. RESTRICTION_CLASS_README, VIRTUAL_README,
# STANDARD_CONFIGURATION_README, FILTER_README, SASL_README.
EXAMPLE = """\
smtpd_restriction_classes = insiders_only, local_only
insiders_only = check_sender_access texthash:{0}/insiders, reject
local_only = check_recipient_access texthash:{0}/local_domains, reject
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated,
    reject_unauth_destination
smtpd_recipient_restrictions =
    check_recipient_access texthash:{0}/protected,
    check_sender_access texthash:{0}/restricted,
    reject_unauth_destination
virtual_alias_domains = example.com, other.example
virtual_alias_maps = texthash:{0}/virtual
virtual_mailbox_domains = hosted.example
virtual_mailbox_maps = texthash:{0}/vmailbox
virtual_mailbox_base = /var/mail
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
relay_domains = $mydestination the.backed-up.domain.tld
relay_recipient_maps = texthash:{0}/relay_recipients
content_filter = scan:localhost:10025
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_tls_auth_only = yes
"""
EXAMPLE_MASTER = """
scan unix - - n - 10 smtp
    -o smtp_send_xforward_command=yes
localhost:10026 inet n - n - 10 smtpd
    -o content_filter=
    -o smtpd_relay_restrictions=
    -o smtpd_recipient_restrictions=permit_mynetworks,reject
    -o mynetworks=127.0.0.0/8
    -o smtpd_authorized_xforward_hosts=127.0.0.0/8
10587 inet n - n - - smtpd
    -o smtpd_tls_security_level=may
    -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
"""
EXAMPLE_FILES = {
    "insiders": "ours.test OK\nother.ours.test OK\n",
    "protected": "all@ours.test insiders_only\n",
    "restricted": "foo@ours.test local_only\n",
    "local_domains": "ours.test OK\nfriend.example OK\n",
    "virtual": "postmaster@example.com postmaster\n"
               "info@example.com joe@elsewhere.net\n"
               "@other.example jim@yahoo.example\n",
    "vmailbox": "info@hosted.example a\n@hosted.example b\n",
    "relay_recipients": "@the.backed-up.domain.tld x\n",
}


def test_documented_examples(run):
    """None of them is an open relay; nor is any a warning."""
    path = closed(run, EXAMPLE.replace("{0}", "@DIR@"), EXAMPLE_FILES)
    with open(path / "etc/master.cf", "a") as master:
        master.write(EXAMPLE_MASTER)
    (path / "queue/private").mkdir(mode=0o700)   # where Dovecot listens
    shutil.chown(path / "queue/private", "postfix")
    status, findings = rehearse(path)
    assert status == 0, findings
    asked = [f["detail"] for f in findings]
    assert "from 12 of 12 entries of 7 tables" in str(asked), asked


def test_several_holes(run):
    """Each is found with its entry, though the first is enough to relay."""
    path = closed(run, """\
smtpd_relay_restrictions = check_client_access texthash:@DIR@/clients,
    check_helo_access texthash:@DIR@/helo,
    check_sender_access regexp:@DIR@/senders, reject_unauth_destination
""", {"clients": "192.0.2.9 OK\nunknown OK\n",
      "helo": "localhost.test DUNNO\n"
              "[192.0.2.7] reject_non_fqdn_sender, permit\n",
      "senders": "if /@friend\\.test$/\n/^boss/ OK\nendif\n"})
    status, findings = rehearse(path)
    assert status == 2
    shown = [f for f in findings if f["id"] == "postfix-rehearsed-open"]
    assert {(pathlib.Path(f["file"]).name, f["line"]) for f in shown} == {
        ("clients", 2), ("helo", 2), ("senders", 2)}, shown
    assert "without a PTR" in str(shown)


def test_two_words_that_agree(run):
    """A HELO name and a sender; and an alias to the outside is no hole."""
    path = closed(run, """\
smtpd_relay_restrictions = both, reject_unauth_destination
smtpd_restriction_classes = both, inner
both = check_helo_access inline:{mx.friend.test=inner}
inner = check_sender_access inline:{friend.test=OK}
virtual_alias_domains = shop.test
virtual_alias_maps = inline:{@shop.test=@elsewhere.test}
""", {})
    status, findings = rehearse(path)
    assert status == 2
    hole, = [f for f in findings if f["id"] == "postfix-rehearsed-open"]
    main = pathlib.Path(hole["file"]).read_text().splitlines()
    assert main[hole["line"] - 1].startswith("inner = ")
    assert re.search("EHLO mx.friend.test, MAIL FROM:<.*friend.test>",
                     hole["detail"])


@pytest.mark.parametrize("number", [n for n, want in NOT_SHOWN.items()
                                    if want])
def test_not_shown(run, number):
    status, findings = rehearse(install(run, number), "--read")
    kind, file, line = NOT_SHOWN[number]
    assert status == 1
    assert [(pathlib.Path(f["file"]).name, f["line"]) for f in findings
            if f["id"] == kind] == [(file, line)]


# settings, files, more of master.cf; then the files and lines of the holes, and
# words of a dialogue
MORE = {
    "a gateway, and a domain that registers others": ("""\
virtual_alias_domains = gate.test
virtual_alias_maps = regexp:@DIR@/gate
relay_domains = texthash:@DIR@/relayed
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
""", {"gate": "/^(.*)-at-(.*)@gate\\.test$/ $1@$2\n",
      "relayed": "customer.test x\nco.uk x\n"}, "",
        {("gate", 1), ("relayed", 2)}, "user-at-relay-victim.com@gate.test"),
    "whom a proxy may name, and isn't here": ("""\
mynetworks = 192.0.2.16/28
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
""", {}, "10026 inet n - n - - smtpd\n"
        "  -o smtpd_upstream_proxy_protocol=haproxy\n",
        {("master.cf", 27)}, "PROXY 192.0.2.17 before all"),
    "whom XCLIENT may name, and isn't here": ("""\
mynetworks = 192.0.2.16/28
smtpd_authorized_xclient_hosts = static:all
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
""", {}, "", {("main.cf", 23)}, "XCLIENT ADDR=192.0.2.17"),
    "a name that a PTR claims": ("""\
smtpd_relay_restrictions = permit_mynetworks,
    check_reverse_client_hostname_access inline:{trusted.test=OK},
    reject_unauth_destination
""", {}, "", set(), ""),
    "good clients of a list in DNS": ("""\
smtpd_relay_restrictions = permit_mynetworks,
    permit_dnswl_client list.dnswl.test, reject_unauth_destination
""", {}, "", set(), ""),
}


@pytest.mark.parametrize("name", MORE)
def test_more(run, name):
    settings, files, services, want, words = MORE[name]
    path = closed(run, settings, files)
    with open(path / "etc/master.cf", "a") as master:
        master.write(services)
    status, findings = rehearse(path)
    shown = [f for f in findings if f["id"] == "postfix-rehearsed-open"]
    assert {(pathlib.Path(f["file"]).name, f["line"])
            for f in shown} == want, findings
    assert (status == 2) == bool(want)
    assert words in str(shown)


def test_whoever_has_an_address_like_ours(run):
    """Case 122 on a machine with an interface of its own."""
    path = install(run, 122)
    script = ("ip link set lo up; "
              "ip link add mail0 type veth peer name far0; "
              "ip address add 46.4.12.200/26 dev mail0; "
              "ip link set mail0 up; ip link set far0 up; "
              'exec "$@"')
    status, findings = rehearse(path, before=["unshare", "-n", "sh", "-ec",
                                              script, "sh"])
    hole, = [f for f in findings if f["id"] == "postfix-rehearsed-open"]
    assert status == 2
    assert (hole["file"], hole["line"]) == (str(path / "etc/main.cf"), 22)
    assert hole["detail"].startswith("from 46.4.12.9:")
    assert "mynetworks_style=host" in hole["fix"]


OPEN_TO_ALL = "smtpd_relay_restrictions = check_client_access static:OK, " \
    "reject_unauth_destination\n"


@pytest.mark.parametrize("settings,is_open", [
    ("", True),
    ("smtpd_data_restrictions = permit_mynetworks, reject", False),
    ("smtpd_end_of_data_restrictions = permit_mynetworks, reject", False),
    ("smtpd_end_of_data_restrictions = permit_mynetworks, defer", False),
    ("smtpd_end_of_data_restrictions = "
     "check_recipient_access inline:{ours.test=OK}, reject", False),
    # what one sender is spared is everybody's
    ("smtpd_data_restrictions = permit_mynetworks, check_sender_access "
     "texthash:@DIR@/friends, reject", True),
    # a temporary failure is no refusal
    ("smtpd_end_of_data_restrictions = permit_mynetworks, "
     "check_sender_access texthash:@DIR@/nowhere", True),
    # a message that says something else is taken
    ("header_checks = pcre:@DIR@/headers", True),
    ("smtpd_data_restrictions = reject_unauth_pipelining", True),
], ids=str)
def test_refused_behind_data(run, settings, is_open):
    """RCPT is open to all, so what is asked behind it decides."""
    path = closed(run, OPEN_TO_ALL + settings + "\n", {"friends": "friend.test OK\n",
                           "headers": "/^Subject: a rehearsal/ REJECT\n"})
    status, findings = rehearse(path)
    shown = [f for f in findings if f["id"] == "postfix-rehearsed-open"]
    assert bool(shown) == is_open == (status == 2), findings
    if "friends" in settings:
        assert all("friend.test>" in f["detail"] for f in shown)


def test_one_sender_is_taken_behind_data(run):
    """Of clients without a name, whose sender DATA asks for."""
    path = closed(run, """\
smtpd_relay_restrictions = permit_mynetworks,
    check_client_access inline:{unknown=OK}, reject_unauth_destination
smtpd_data_restrictions = permit_mynetworks,
    check_sender_access texthash:@DIR@/friends, reject
""", {"friends": "friend.test OK\n"})
    status, findings = rehearse(path)
    shown = [f for f in findings if f["id"] == "postfix-rehearsed-open"]
    assert status == 2 and shown, findings
    assert all("friend.test>" in f["detail"] for f in shown), shown


def test_a_limit_of_hops_of_its_own(run):
    """The copy's is its own: no message of the rehearsal is ever queued."""
    path = closed(run, OPEN_TO_ALL + "hopcount_limit = 1000\n", {})
    master = (path / "etc/master.cf").read_text()
    (path / "etc/master.cf").write_text(re.sub(
        r"(?m)^(cleanup .*)$", r"\1 -o hopcount_limit=1000", master))
    assert "-o hopcount_limit" in (path / "etc/master.cf").read_text()
    status, findings = rehearse(path)
    assert status == 2, findings


def test_a_milter_that_is_nowhere(run):
    """Its directory can't be made in the copy, nor found on the machine."""
    path = closed(run, OPEN_TO_ALL + "smtpd_milters = unix:/popgate-nowhere/milter.sock\n"
                  "milter_default_action = accept\n", {})
    status, findings = rehearse(path)
    assert status == 2, findings
