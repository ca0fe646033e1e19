# SPDX-License-Identifier: ISC
"""popgatectl doctor asks Sendmail itself: tests/data/doctor-cases, each judged
by what a real Sendmail did, with the line that is to blame."""
import json
import pathlib
import shutil
import subprocess
import tempfile

import doctor_cases
import pytest
from lab.process import need
from lab.site import BUILD, TOP

DATA = TOP / "tests/data/doctor-cases"
CTL = BUILD / "popgatectl"
ALL = "sendmail-relay-domains-all"

# number of the case: finding, file, what stands in its line; None: closed
CASES = {
    200: (ALL, "access", "test RELAY"),
    202: (ALL, "relay-domains", "  test\t# all"),
    204: (ALL, "vdomains", "test"),
    206: ("sendmail-sender-rule", "sendmail.mc", "friend.test. > $*\t$#ok"),
    208: ("sendmail-sender-rule", "sendmail.mc", "@MATCH"),
    210: ("sendmail-helo-rule", "sendmail.mc", "Rscanner.ours.test\t$# ok"),
    212: None,
    214: (ALL, "access", "test RELAY"),
    216: (ALL, "access", "Connect:test RELAY"),
    218: None,
    # open only where the customer's server follows the %
    220: ("sendmail-loose", "sendmail.cf", "CanonAddr"),
    222: None, 224: None, 226: None, 228: None, 230: None, 232: None,
    234: None, 240: None, 242: None, 244: None,
}


@pytest.fixture
def directory():
    """Sendmail reads nothing where everybody can write, as below /tmp."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="rehearsal-", dir="/srv"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def make(number, directory):
    """The case's files; sendmail.cf and the maps made from them."""
    case, = DATA.glob(f"{number}-*")
    for file in case.iterdir():
        (directory / file.name).write_text(
            file.read_text()
            .replace(f"/srv/h-doctor/{number}", str(directory))
            .replace("@SENDMAIL@", str(doctor_cases.PACKAGE)))
    (directory / "queue").mkdir(mode=0o700)
    cf, conf = directory / "sendmail.cf", directory / "popgate.conf"
    for name in ("access", "virt", "mt"):
        if (directory / name).exists():
            subprocess.run([doctor_cases.LIBEXEC / "makemap", "-C", cf,
                            "hash", directory / name],
                           stdin=open(directory / name), check=True)
    return cf, conf


def examine(cf, conf):
    program = need(doctor_cases.LIBEXEC / "sendmail", "build/sendmail")
    done = subprocess.run(
        [CTL, "-c", conf, "doctor", "--mta", "sendmail", "--config-dir", cf,
         "--program", program, "--json"],
        capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1, 2), done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert {"sendmail-rehearsed", "sendmail-not-rehearsed"} & {
        f["id"] for f in findings}
    return [f for f in findings if f["severity"] != "info"]


def test_every_case_is_here():
    assert sorted(CASES) == sorted(
        int(path.name[:3]) for path in DATA.glob("2[0-4]?-sendmail-*"))


@pytest.mark.parametrize("number", sorted(CASES))
def test_case(number, directory):
    cf, conf = make(number, directory)
    findings = examine(cf, conf)
    if CASES[number] is None:
        assert findings == []
        return
    want, name, text = CASES[number]
    assert {f["id"] for f in findings} == {want}, findings
    for f in findings:
        assert pathlib.Path(f["file"]) == directory / name
        line = (directory / name).read_text().split("\n")[f["line"] - 1]
        assert text in line, line
        assert f["fix"]


RULES = "LOCAL_RULESETS\nSLocal_check_rcpt\n"
LOCAL = "MAILER(`local')"

# What is put before the mailers of case 200, and behind them; files besides; then
# the finding, its file, and what stands in its line.
MORE = {
    "relay_mail_from for domains": (
        "FEATURE(`relay_mail_from', `domain')\n", "",
        {"access": "From:zeta.test RELAY\n"},
        ("sendmail-sender-permits", "access", "zeta.test")),
    "relay_mail_from for addresses": (
        "FEATURE(`relay_mail_from')\n", "",
        {"access": "From:boss@zeta.test RELAY\n"},
        ("sendmail-sender-permits", "access", "boss@zeta.test")),
    "relay_mail_from, and a domain alone": (
        "FEATURE(`relay_mail_from')\n", "",
        {"access": "From:zeta.test RELAY\n"},
        ("sendmail-mail-from", "sendmail.cf", "")),
    "relay_local_from": (
        "FEATURE(`relay_local_from')\n", "", {},
        ("sendmail-local-from", "sendmail.mc", "relay_local_from")),
    "a class of partners": (
        "", "LOCAL_CONFIG\nF{Partners}@DIR@/partners\n" + RULES +
        "R$*\t\t$: $>canonify $&f\nR$* < @ $={Partners} . > $*\t\t$# ok\n",
        {"partners": "zeta.test\n"},
        ("sendmail-sender-rule", "partners", "zeta.test")),
    "a sender's local part at any domain": (
        "", RULES + "R$*\t\t$: $&f\nRscanner @ $*\t\t$# ok\n", {},
        ("sendmail-sender-rule", "sendmail.mc", "Rscanner @")),
    "a HELO name and a sender": (
        "", RULES + "R$*\t\t$: $&s $| $&f\n"
        "Rmx.zeta.test $| $+ @ zeta.test\t\t$# ok\n", {},
        ("sendmail-helo-rule", "sendmail.mc", "Rmx.zeta.test")),
    "a sender and a client": (
        "", RULES + "R$*\t\t$: $&{client_addr} $| $&f\n"
        "R198.51.100.7 $| $+ @ zeta.test\t\t$# ok\n", {}, None),
    "the second daemon": (
        "DAEMON_OPTIONS(`Name=MSA, Port=587')\n",
        RULES + "R$*\t\t$: $&{daemon_name}\nRMSA\t\t$# ok\n", {},
        ("sendmail-rule-open", "sendmail.mc", "RMSA")),
    "a PTR alone": (
        "", RULES + "R$*\t\t$: $&{client_ptr}\n"
        "R$* . trusted.test\t\t$# ok\n", {},
        ("sendmail-rule-open", "sendmail.mc", "trusted.test")),
    "a gateway that routes": (
        "", "LOCAL_RULE_0\nR$+ . at . $+ < @ ours.test . >\t"
        "$#esmtp $@ $2 $: $1 < @ $2 . >\n", {},
        ("sendmail-recipient-routed", "sendmail.mc", ". at .")),
    "a gateway that is refused": (
        "", "LOCAL_RULE_3\nR$+ . at . $+ < @ ours.test . >\t$1 < @ $2 . >\n",
        {}, None),
}


@pytest.mark.parametrize("name", MORE)
def test_more(name, directory):
    before, behind, files, want = MORE[name]
    cf, conf = make(200, directory)
    mc = directory / "sendmail.mc"
    mc.write_text(
        (mc.read_text().replace(LOCAL, before + LOCAL, 1) + behind)
        .replace("@DIR@", str(directory)))
    for file, text in {"access": "", **files}.items():
        (directory / file).write_text(text)
    with open(cf, "w") as to:
        subprocess.run(["m4", mc], stdout=to, check=True)
    subprocess.run([doctor_cases.LIBEXEC / "makemap", "-C", cf, "hash",
                    directory / "access"], stdin=open(directory / "access"),
                   check=True)
    findings = examine(cf, conf)
    if want is None:
        assert findings == []
        return
    kind, file, text = want
    found, = findings
    assert (found["id"], found["file"]) == (kind, str(directory / file))
    line = (directory / file).read_text().split("\n")[found["line"] - 1]
    assert text in line


def test_the_advice_closes_the_hole(directory):
    """The printed advice, done as printed, is what the doctor calls closed."""
    cf, conf = make(200, directory)
    hole, = examine(cf, conf)
    assert hole["fix"].startswith("sed -i 1d ")
    subprocess.run(["sh", "-ec", f"PATH={doctor_cases.LIBEXEC}:$PATH\n"
                    + hole["fix"]], check=True)
    assert examine(cf, conf) == []


def test_no_stranger_comes_from_a_trusted_network(directory):
    """Also when it is one of those that are for examples (RFC 5737)."""
    cf, conf = make(242, directory)
    access = directory / "access"
    access.write_text("Connect:203.0.113 RELAY\n198.51 RELAY\n"
                      "Connect:192.0.2.7 RELAY\n")
    subprocess.run([doctor_cases.LIBEXEC / "makemap", "-C", cf, "hash",
                    access], stdin=open(access), check=True)
    assert {f["id"] for f in examine(cf, conf)} == {"sendmail-network-wide"}


def test_why_it_does_not_start(directory):
    """In Sendmail's own words, whatever else is in the log."""
    cf, conf = make(212, directory)
    with open(cf, "a") as text:
        text.write("Fw/srv/no-such-file\n")
    found = [f for f in examine(cf, conf) if f["id"] ==
             "sendmail-not-rehearsed"]
    assert "/srv/no-such-file" in found[0]["detail"], found


def test_somebody_elses_source_is_not_run(directory):
    """m4 runs what stands in sendmail.mc: only root's is made again."""
    cf, conf = make(206, directory)
    mc = directory / "sendmail.mc"
    mc.write_text(mc.read_text() + "syscmd(`touch /run/popgate-was-here')\n")
    mc.chmod(0o666)
    hole, = examine(cf, conf)
    assert hole["file"] == str(cf)
    assert not pathlib.Path("/run/popgate-was-here").exists()


def test_somebody_elses_configuration_is_not_run(directory):
    """sendmail.cf names programs, which root would run."""
    cf, conf = make(212, directory)
    with open(cf, "a") as text:
        text.write("FR|/bin/touch /srv/popgate-was-here\n")
    shutil.chown(cf, "nobody")
    found, = examine(cf, conf)
    assert found["id"] == "sendmail-not-rehearsed"
    assert "doesn't belong to root" in found["detail"]


@pytest.mark.parametrize("ruleset,is_open", [
    ("check_eom", False), ("check_data", False), ("check_else", True)])
def test_refused_behind_data(directory, ruleset, is_open):
    """Who isn't of this machine gets no further than DATA."""
    cf, conf = make(200, directory)
    with open(cf, "a") as text:
        text.write(f"S{ruleset}\nR$*\t\t$: $&{{client_addr}}\n"
                   "R127.0.0.1\t$@ OK\n"
                   'R$*\t\t$#error $@ 5.7.1 $: "550 Not from you"\n')
    assert bool(examine(cf, conf)) == is_open


MANY_HEADERS = r"""
Kof_numbers arith
Scheck_eoh
R$- $| $*	$: $(of_numbers l $@ 100 $@ $1 $) $| $&{client_addr}
RTRUE $| 127.0.0.1	$@ OK
RTRUE $| $*	$#error $@ 5.7.1 $: "550 Too many headers"
"""
TEMPORARY = r"""
Scheck_eom
R$*	$: $&{client_addr}
R127.0.0.1	$@ OK
R$*	$#error $@ 4.3.0 $: "451 Ask later"
"""


@pytest.mark.parametrize("rules", [MANY_HEADERS, TEMPORARY])
def test_not_refused_behind_data(directory, rules):
    """What no ordinary message meets, and what is no verdict."""
    cf, conf = make(200, directory)
    with open(cf, "a") as text:
        text.write(rules)
    assert examine(cf, conf)
