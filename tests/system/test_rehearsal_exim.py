# SPDX-License-Identifier: ISC
"""popgatectl doctor on Exims that somebody played a stranger's dialogue with
(tests/data/doctor-cases), and on others of their kinds: the verdict, the line,
and that the fix which it prints was tried."""
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from lab import exim as lab_exim

BUILD = pathlib.Path(os.environ["POPGATE_BUILD"])
DATA = pathlib.Path(__file__).parents[1] / "data/doctor-cases"
EXIM = BUILD / "exim"

# what the real server did, and where the cause stands; "" is closed
TRUTH = {
    300: ("exim-sender-permits", "exim.conf", 27),
    302: ("exim-sender-permits", "exim.conf", 29),
    304: ("exim-relay-open", "exim.conf", 17),
    306: ("exim-sender-permits", "exim.conf", 27),
    308: ("exim-auth-open", "exim.conf", 66),
    310: ("exim-domains-open", "rd", 2),
    312: ("exim-domains-open", "rd", 2),
    314: ("exim-domains-open", "exim.conf", 9),
    316: ("exim-hosts-open", "rh", 1),
    318: ("exim-hosts-open", "exim.conf", 11),
    320: ("exim-sender-permits", "exim.conf", 25),
    322: ("exim-sender-permits", "exim.conf", 26),
    326: ("exim-sender-permits", "exim.conf", 27),
    328: ("exim-domains-open", "dom", 2),
    330: ("exim-domains-open", "exim.conf", 25),
    332: None, 334: None, 336: None, 338: None, 340: None,
}

# Others, by what is changed in case 336, which is closed: what is put before
# the accept of trusted hosts (line 27), the ACLs before it, main settings,
# authenticators, files; then the kind, and words of the line that is named.
LOGIN = """\
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = {condition}
  server_advertise_condition = {when}
"""
CRAM = """\
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = {}
"""
TLS = "${if def:tls_in_cipher}"
# the day that a message of now is dated
TODAY = datetime.date.today()
DAYS = "|".join(f"{day:%a}, 0?{day.day} {day:%b %Y}"
                for day in (TODAY, TODAY + datetime.timedelta(days=1)))


def data(*statements):
    """Make an ACL of these for DATA, to be a case's "replace"."""
    return ("begin acl\n", "acl_smtp_data = check_data\nbegin acl\n\n"
            "check_data:\n" + "".join(f"  {s}\n" for s in statements))


LOOKUP = "${lookup{$auth2}lsearch{@DIR@/pw}{$value}}"
MORE = {
    "a router that makes user=domain an address": dict(
        replace=("begin routers\n", "begin routers\n\nways:\n"
                 "  driver = redirect\n  domains = +local_domains\n"
                 "  local_parts = ^.+=.+\n  allow_defer\n"
                 "  data = ${sg{$local_part}{=}{@}}\n"
                 "ours:\n  driver = manualroute\n"
                 "  domains = +local_domains\n  transport = out\n"
                 "  route_list = * 127.0.0.1\n  self = send\n"),
        # where it passes; the router's own line isn't told
        want=("exim-recipient-routed", "domainlist local_domains")),
    "a gateway behind a prefix": dict(
        replace=("begin routers\n", "begin routers\n\nways:\n"
                 "  driver = redirect\n  domains = +local_domains\n"
                 "  local_part_prefix = fax. : to-\n"
                 "  data = ${sg{$local_part}{=}{@}}\n"
                 "ours:\n  driver = manualroute\n"
                 "  domains = +local_domains\n  transport = out\n"
                 "  route_list = * 127.0.0.1\n  self = send\n"),
        want=("exim-recipient-routed", "domainlist local_domains")),
    "a gateway by a suffix": dict(
        replace=("begin routers\n", "begin routers\n\nways:\n"
                 "  driver = redirect\n  domains = +local_domains\n"
                 "  local_part_suffix = .at.*\n"
                 "  data = $local_part@${sg{$local_part_suffix}"
                 "{\\N^\\.at\\.\\N}{}}\n"
                 "ours:\n  driver = manualroute\n"
                 "  domains = +local_domains\n  transport = out\n"
                 "  route_list = * 127.0.0.1\n  self = send\n"),
        want=("exim-recipient-routed", "domainlist local_domains")),
    "addresses for people's folders": dict(
        replace=("begin routers\n", "begin routers\n\nours:\n"
                 "  driver = manualroute\n  domains = +local_domains\n"
                 "  local_part_suffix = +* : -*\n"
                 "  local_part_suffix_optional\n  transport = out\n"
                 "  route_list = * 127.0.0.1\n  self = send\n"),
        want=None),
    "names that aren't known count as friends": dict(
        add="  accept hosts = +include_unknown : *.friend.test\n",
        want=("exim-hosts-open", "accept hosts")),
    "a refusal that ignores names that aren't known": dict(
        add="  accept hosts = +ignore_unknown : !*.client.test : *\n",
        want=("exim-hosts-open", "accept hosts")),
    "CRAM-MD5 with no secret is no user's": dict(
        auth=CRAM.format("${lookup{$auth1}lsearch{@DIR@/pw}{$value}{}}"),
        files={"pw": "bob: secret\n"},
        want=("exim-auth-open", "server_secret")),
    "CRAM-MD5 with a secret that is looked up": dict(
        auth=CRAM.format("${lookup{$auth1}lsearch{@DIR@/pw}{$value}fail}"),
        files={"pw": "bob: secret\n"}, want=None),
    "a flag set in a warn": dict(
        add="  warn sender_domains = friend.test\n    set acl_m0 = 1\n"
            "  accept condition = ${if eq{$acl_m0}{1}}\n",
        want=("exim-sender-permits", "accept condition")),
    "a nested ACL": dict(
        acls="inner:\n  accept senders = *@friend.test\n",
        add="  accept acl = inner\n",
        want=("exim-sender-permits", "accept acl = inner")),
    "sender and HELO name": dict(
        add="  accept sender_domains = friend.test\n"
            "    condition = ${if eqi{$sender_helo_name}{mx.friend.test}}\n",
        want=("exim-helo-permits", "accept sender_domains")),
    "an ACL in the setting": dict(
        rcpt="accept", want=("exim-relay-open", "acl_smtp_rcpt = accept")),
    # without IPv6, one of the listeners that Exim prints isn't there
    "senders by a pattern": dict(
        replace=("acl_smtp_rcpt", "disable_ipv6\nacl_smtp_rcpt"),
        add="  accept senders = ^.*@(mail|news)\\\\.friend\\\\.test\\$\n",
        want=("exim-sender-permits", "accept senders")),
    "an included file": dict(
        add=".include @DIR@/inc\n",
        files={"inc": "  # friends\n  accept senders = *@friend.test\n"},
        want=("exim-sender-permits", "accept senders")),
    "lsearch* as relay_to_domains": dict(
        replace=("relay_to_domains =", "relay_to_domains = lsearch*;@DIR@/rd"),
        files={"rd": "relay.test:\n*: x\n"},
        want=("exim-domains-open", "*: x")),
    "no password is no user's": dict(
        auth=LOGIN.format(condition="${if eq{$auth3}{" + LOOKUP + "}}",
                          when="yes"),
        files={"pw": "bob: secret\n"},
        want=("exim-auth-open", "server_condition")),
    "AUTH behind STARTTLS": dict(
        auth=LOGIN.format(condition="true", when=TLS),
        want=("exim-auth-open", "server_condition")),
    "a password that is checked": dict(
        auth=LOGIN.format(
            condition="${if and{{!eq{$auth3}{}}{eq{$auth3}{" + LOOKUP +
                      "}}}}", when=TLS),
        files={"pw": "bob: secret\n"}, want=None),
    "whoever speaks TLS": dict(
        add="  accept encrypted = *\n",
        want=("exim-relay-open", "accept encrypted")),
    "friends' mail is thrown away": dict(
        add="  discard senders = *@friend.test\n", want=None),
    "a wildcard without a dot": dict(
        replace=("relay_to_domains =", "relay_to_domains = *customer.test"),
        want=("exim-domains-open", "domainlist relay_to_domains")),
    "a local part at every domain": dict(
        add="  accept local_parts = postmaster : abuse\n",
        want=("exim-relay-open", "accept local_parts")),
    "all that is taken is refused behind DATA": dict(
        replace=data("deny"), add="  accept\n", want=None),
    "DATA is for whoever claims a sender of ours": dict(
        replace=data("deny ! sender_domains = +local_domains", "accept"),
        add="  accept delay = 0s\n",
        want=("exim-sender-permits", "accept delay")),
    "DATA is for whoever says a name": dict(
        replace=data("accept condition = "
                     "${if eqi{$sender_helo_name}{mx.friend.test}}"),
        add="  accept delay = 0s\n",
        want=("exim-helo-permits", "accept delay")),
    "DATA is for a sender and a name together": dict(
        replace=data("accept sender_domains = friend.test\n    condition = "
                     "${if eqi{$sender_helo_name}{mx.friend.test}}"),
        add="  accept delay = 0s\n",
        want=("exim-helo-permits", "accept delay")),
    "old messages are refused behind DATA": dict(
        replace=data("accept condition = ${if match{$h_date:}"
                     "{\\N^(" + DAYS + r") \d\d:\d\d:\d\d [+-]\d{4}$\N}}"),
        add="  accept delay = 0s\n",
        want=("exim-relay-open", "accept delay")),
    "a rate, then a sender": dict(
        add="  defer ratelimit = 5 / 1h / strict\n"
            "  accept senders = *@zeta.test\n",
        want=("exim-sender-permits", "accept senders")),
    "one recipient a message": dict(
        replace=("acl_smtp_rcpt", "recipients_max = 1\n"
                 "recipients_max_reject = true\nacl_smtp_rcpt"),
        add="  accept senders = *@zeta.test\n",
        want=("exim-sender-permits", "accept senders")),
    "a HELO name that is the sender's domain": dict(
        add="  accept condition = "
            "${if eqi{$sender_address_domain}{$sender_helo_name}}\n",
        want=("exim-helo-permits", "accept condition")),
    "local parts of a file, at any domain": dict(
        add="  accept local_parts = lsearch;@DIR@/locals\n",
        files={"locals": "info: x\nsales: y\n"},
        want=("exim-relay-open", "accept local_parts")),
    "a local part of senders, by a pattern": dict(
        add="  accept domains = ! +local_domains\n    senders = ^boss@\n",
        want=("exim-sender-permits", "accept domains")),
    "a router for user-at-domain": dict(
        replace=("begin routers\n", "begin routers\n\ngate:\n"
                 "  driver = redirect\n  domains = +local_domains\n"
                 "  local_parts = ^.*-at-.*\\$\n"
                 "  data = ${sg{$local_part}{-at-}{@}}\n  allow_defer\n"
                 "ours:\n  driver = manualroute\n"
                 "  domains = +local_domains\n  transport = out\n"
                 "  route_list = * 127.0.0.1\n  self = send\n"),
        want=("exim-recipient-routed", "domainlist local_domains")),
    "a host by its name": dict(
        add="  accept hosts = mx.partner.test\n", want=None),
    "a list of good hosts in DNS": dict(
        add="  accept dnslists = list.dnswl.test\n", want=None),
    "a customer's domain": dict(
        replace=("relay_to_domains =", "relay_to_domains = *.customer.test"),
        want=None),
    "a host that has no password": dict(
        add="  accept hosts = 198.51.100.7\n", want=None),
}


@pytest.fixture(scope="module")
def machine():
    """Exim's user, for the processes that we start."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="rehearsal-"))
    path.chmod(0o755)
    for name, line in (("passwd",
                        f"Debian-exim:x:{lab_exim.UID}:{lab_exim.UID}::/:"
                        "/usr/sbin/nologin\n"),
                       ("group", f"Debian-exim:x:{lab_exim.UID}:\n")):
        text = pathlib.Path("/etc", name).read_text()
        (path / name).write_text(
            re.sub("(?m)^Debian-exim:.*\n", "", text) + line)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def directory():
    path = pathlib.Path(tempfile.mkdtemp(prefix="rehearsal-"))
    path.chmod(0o755)
    for name in ("log", "spool"):
        (path / name).mkdir()
        os.chown(path / name, lab_exim.UID, lab_exim.UID)
    yield path
    shutil.rmtree(path)


def write(number, directory):
    """A case's files."""
    source = next(DATA.glob(f"{number}-*"))
    for path in source.iterdir():
        if path.name != "dialogue.txt":
            (directory / path.name).write_text(
                path.read_text().replace(f"@RUN@/{number}", str(directory))
                .replace("@EXIM@", str(EXIM)))
    return directory / "exim.conf"


def doctor(machine, directory):
    script = (f"mount --bind {machine}/passwd /etc/passwd; "
              f"mount --bind {machine}/group /etc/group; "
              'ip link set lo up; exec "$@"')
    done = subprocess.run(
        ["unshare", "-mn", "sh", "-ec", script, "sh", BUILD / "popgatectl",
         "-c", directory / "popgate.conf", "doctor", "--mta", "exim",
         "--config-dir", directory / "exim.conf", "--program",
         EXIM / "usr/sbin/exim4", "--json"],
        capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1, 2), done.stderr
    found = [f for f in json.loads(done.stdout)["findings"]
             if f["id"].startswith("exim-")]
    told, = [f["detail"] for f in found if f["id"] == "exim-rehearsed"] or \
        ["0 of the 0"]
    reached, of = map(int, re.search(r"(\d+) of the (\d+)", told).groups())
    assert reached <= of
    return [f for f in found if f["id"] != "exim-rehearsed"]


def only(findings):
    """The open relays; there is nothing else to say of these servers."""
    assert {f["severity"] for f in findings
            if f["id"] != "exim-auth-without-tls"} <= {"open-relay"}, findings
    return [f for f in findings if f["severity"] == "open-relay"]


@pytest.mark.parametrize("number", TRUTH)
def test_case(number, machine, directory):
    write(number, directory)
    found = only(doctor(machine, directory))
    want = TRUTH[number]
    assert len(found) == (1 if want else 0), found
    if want:
        kind, name, line = want
        assert (found[0]["id"], found[0]["file"], found[0]["line"]) == \
            (kind, str(directory / name), line)


@pytest.mark.parametrize("name", MORE)
def test_more(name, machine, directory):
    case = MORE[name]
    conf = write(336, directory)
    text = conf.read_text().replace(
        "  accept sender_domains = friend.test\n"
        "         domains = +local_domains\n", case.get("add", ""))
    text = text.replace("begin acl\n", "begin acl\n\n" + case.get("acls", ""))
    if "rcpt" in case:
        text = re.sub("acl_smtp_rcpt = .*", "acl_smtp_rcpt = " + case["rcpt"],
                      text)
    if "replace" in case:
        assert case["replace"][0] in text
        text = text.replace(*case["replace"], 1)
    text = text.rstrip() + "\n\n" + case.get("auth", "")
    conf.write_text(text.replace("@DIR@", str(directory)))
    for file, more in case.get("files", {}).items():
        (directory / file).write_text(more)
    found = only(doctor(machine, directory))
    assert len(found) == (1 if case["want"] else 0), found
    if case["want"]:
        kind, words = case["want"]
        assert found[0]["id"] == kind
        line = pathlib.Path(found[0]["file"]).read_text().splitlines()[
            found[0]["line"] - 1]
        assert words in line


def test_fix(machine, directory):
    """The fix of the first case, applied: closed, and its list still works."""
    conf = write(300, directory)
    fix = only(doctor(machine, directory))[0]["fix"]
    assert fix.splitlines() == [
        f"# add to the statement in {conf}, line 27:",
        "          domains = +local_domains : +relay_to_domains"]
    lines = conf.read_text().splitlines()
    lines.insert(27, fix.splitlines()[1])
    conf.write_text("\n".join(lines) + "\n")
    assert only(doctor(machine, directory)) == []


def test_somebody_elses_configuration_is_not_run(machine, directory):
    """Exim, started by root, writes its log where the file says."""
    conf = write(336, directory)
    log = pathlib.Path("/srv/popgate-was-here")
    conf.write_text(re.sub("(?m)^log_file_path.*", "", conf.read_text())
                    .replace("begin acl", f"log_file_path = {log}/%s\n"
                             "no_such_setting\nbegin acl", 1))
    shutil.chown(conf, "nobody")
    found, = doctor(machine, directory)
    assert found["id"] == "exim-not-rehearsed"
    assert "doesn't belong to root" in found["detail"]
    assert not log.exists()
