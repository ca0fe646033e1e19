# SPDX-License-Identifier: ISC
"""popgatectl doctor says where a Postfix doesn't ask popgate, or can't."""
import pathlib
import subprocess

import pytest

import doctor_cases
from doctor_cases import CONF, MILTER, POLICY, Case, relay, write
from test_doctor import bad, directory, examine  # noqa: F401 (a fixture)


def ids(findings):
    return {f["id"] for f in findings}


# --- every instance ---

@pytest.fixture
def two(directory):
    """A good Postfix that names a second instance, which is an open relay."""
    one, other = directory / "one", directory / "other"
    for path, main in ((one, {"multi_instance_directories": str(other),
                              "multi_instance_enable": "yes"}),
                       (other, {"mynetworks": "0.0.0.0/0"})):
        path.mkdir()
        write(Case("instance", "postfix", "", main), path)
    return one, other


def test_instances(two):
    one, other = two
    f, = bad(examine(one, "postfix", one / "popgate.conf"))
    assert f["id"] == "postfix-mynetworks-open"
    assert f["file"] == f"{other}/main.cf" and f"-c {other} " in f["fix"]


def test_instance_that_is_not_there(two):
    one, other = two
    other.rename(other.with_name("away"))
    f, = bad(examine(one, "postfix", one / "popgate.conf"))
    assert f["id"] == "postfix-unreadable" and f["file"] == str(other)


# --- a service that doesn't ask, a list that refuses first ---

ASKS = {"smtpd_relay_restrictions":
        f"permit_mynetworks, check_policy_service {POLICY}, "
        "reject_unauth_destination"}
WIRED = {**ASKS, "smtpd_milters": MILTER}
AUTH = {"smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "yes"}
PROMISE = {"smtpd_milters": MILTER, "smtpd_relay_restrictions":
           "permit_mynetworks, check_policy_service {{ " + POLICY +
           ", policy_context=asked-at-data }}, reject_unauth_destination"}
LATER = ("check_policy_service {{ " + POLICY +
         ", policy_context=asked-later/recipient }}")
BACK = "127.0.0.1:10025 inet n - n - - smtpd\n"
FILTER = {"content_filter": "scan:[127.0.0.1]:10024"}
SCAN = "scan unix - - n - 2 smtp\n"
PIPE = "scan unix - n n - 2 pipe user=nobody argv=/bin/false\n"
TRUSTING = CONF.replace("relay: {", 'relay: { trusted_networks = '
                        '[ "127.0.0.1" ];')


def case(name, want, main, master="", smtpd="", conf=CONF, info=""):
    return Case(name, "postfix", want, main, master=master, smtpd=smtpd,
                conf=conf, info=info)


ASKED = [
    case("wired", "", WIRED),
    case("the milter alone", "postfix-service-without-permit",
         {"smtpd_milters": MILTER}),
    case("the milter alone, a list by a table",
         "postfix-service-without-permit",
         {"smtpd_milters": MILTER, "smtpd_relay_restrictions":
          "permit_auth_destination, check_client_access static:REJECT, "
          "reject_unauth_destination"}),
    case("the permit channel alone", "postfix-no-milter", ASKS),
    case("the permit channel in a class", "",
         {"smtpd_milters": MILTER, "smtpd_restriction_classes": "ask",
          "ask": f"check_policy_service {POLICY}",
          "smtpd_relay_restrictions": "ask, reject_unauth_destination"}),
    case("what is left to a later list, and there is none",
         "postfix-service-without-permit",
         {"smtpd_milters": MILTER, "smtpd_relay_restrictions": "",
          "smtpd_recipient_restrictions": LATER +
          ", reject_unauth_destination"}),
    case("what is left to a later list", "",
         {**WIRED, "smtpd_relay_before_recipient_restrictions": "no",
          "smtpd_recipient_restrictions": LATER}),
    case("a map", "",
         {"smtpd_milters": MILTER, "smtpd_relay_restrictions":
          "check_client_access socketmap:" + doctor_cases.SOCKETMAP +
          ":popgate, reject_unauth_destination"}),
    case("a service of which nothing asks", "postfix-service-without-popgate",
         WIRED, "2587 inet n - n - - smtpd -o smtpd_milters=\n"
         "    -o smtpd_relay_restrictions=reject_unauth_destination\n"),
    case("the recipient list refuses first", "postfix-refuses-first",
         {**WIRED, "smtpd_recipient_restrictions":
          "permit_mynetworks, reject_unauth_destination"}),
    case("the sender list refuses first", "postfix-refuses-first",
         {**WIRED, "smtpd_sender_restrictions": "permit_mynetworks, reject"}),
    case("the client list of one service refuses first",
         "postfix-refuses-first", WIRED,
         "2587 inet n - n - - smtpd\n"
         "    -o smtpd_client_restrictions=permit_mynetworks,reject\n"),
    case("a list that refuses strangers only by accident", "",
         {**WIRED, "smtpd_recipient_restrictions":
          "reject_unknown_recipient_domain, permit"}),
    case("a service behind postscreen", "postfix-refuses-first", WIRED,
         "smtpd pass - - n - - smtpd\n"
         "    -o smtpd_recipient_restrictions=reject_unauth_destination\n"),
    case("submission for AUTH users", "", {**WIRED, **AUTH},
         "2587 inet n - n - - smtpd -o smtpd_relay_restrictions="
         "permit_sasl_authenticated,reject\n",
         info="postfix-auth-only-service"),
    case("a service for this machine", "", WIRED,
         "127.0.0.1:2587 inet n - n - - smtpd -o smtpd_milters=\n"
         "    -o smtpd_relay_restrictions=permit_mynetworks,reject\n"),
    # asked-at-data
    case("a promise that DATA keeps", "",
         {**PROMISE, "smtpd_data_restrictions":
          f"check_policy_service {POLICY}"}),
    case("a promise that nobody keeps", "postfix-data-not-asked", PROMISE),
    case("a promise that one service breaks", "postfix-data-not-asked",
         {**PROMISE, "smtpd_data_restrictions":
          f"check_policy_service {POLICY}"},
         "2587 inet n - n - - smtpd -o smtpd_data_restrictions=\n"),
    case("a promise that a permit breaks", "postfix-data-not-asked",
         {**PROMISE, "smtpd_data_restrictions":
          f"permit, check_policy_service {POLICY}"}),
    # mail that a filter gives back
    case("a filter's mail comes back", "postfix-reinjection",
         {**WIRED, **FILTER}, SCAN + BACK + "    -o content_filter=\n"),
    case("a filter's mail comes back, every address",
         "postfix-reinjection", {**WIRED, **FILTER},
         SCAN + "10025 inet n - n - - smtpd -o content_filter=\n"),
    case("a proxy filter's mail comes back", "postfix-reinjection",
         WIRED, BACK, smtpd="    -o smtpd_proxy_filter=127.0.0.1:10024"),
    case("a filter's mail comes back, to the permit channel",
         "postfix-reinjection",
         {**WIRED, **FILTER, "smtpd_relay_restrictions":
          f"check_policy_service {POLICY}, reject_unauth_destination"},
         SCAN + BACK + "    -o content_filter= -o smtpd_milters=\n"),
    case("a filter's mail comes back without popgate", "", {**WIRED, **FILTER},
         SCAN + BACK + "    -o content_filter= -o smtpd_milters=\n"
         "    -o smtpd_relay_restrictions=permit_mynetworks,reject\n"),
    case("a filter's mail comes back in a chroot, and asks nobody", "",
         {**WIRED, **FILTER}, SCAN + BACK.replace("n - n", "n - y") +
         "    -o content_filter= -o smtpd_milters=\n"),
    case("a filter's mail comes back, this machine is trusted", "",
         {**WIRED, **FILTER}, SCAN + BACK + "    -o content_filter=\n",
         conf=TRUSTING),
    case("a filter that is a program", "", {**WIRED, **FILTER}, PIPE + BACK),
    case("no filter", "", WIRED, BACK),
    # sockets
    case("a popgate that has moved", "postfix-popgate-elsewhere",
         {"smtpd_milters": "unix:/run/popgate2/milter.sock"}),
    case("a channel that popgate.conf doesn't have",
         "postfix-popgate-elsewhere", ASKS,
         conf=CONF.replace(f'policy = "{POLICY}"; ', "")),
    case("another milter", "postfix-service-without-permit",
         {"smtpd_milters": f"inet:127.0.0.1:11332, {MILTER}"}),
]


@pytest.mark.parametrize("case", ASKED, ids=lambda c: c.name)
def test_asked(case, directory):
    path = write(case, directory)
    findings = examine(path, "postfix", directory / "popgate.conf")
    assert ids(bad(findings)) == ({case.want} if case.want else set()), \
        findings
    if case.info:
        assert case.info in ids(findings)
    for f in bad(findings):
        assert f["why"] and f["fix"] and pathlib.Path(f["file"]).exists()


MENDED = [c for c in ASKED if c.want == "postfix-reinjection" or c.name in
          ("a promise that one service breaks",)]


@pytest.mark.parametrize("case", MENDED, ids=lambda c: c.name)
def test_fix(case, directory):
    """Paste what is to be pasted: it puts it right."""
    path = write(case, directory)
    conf = directory / "popgate.conf"
    f, = bad(examine(path, "postfix", conf))
    commands = [line for line in f["fix"].splitlines()
                if line.startswith("postconf ")]
    assert commands
    for command in commands:
        subprocess.run(["sh", "-ec", command], check=True)
    assert bad(examine(path, "postfix", conf)) == []
