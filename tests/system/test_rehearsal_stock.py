# SPDX-License-Identifier: ISC
"""popgatectl doctor rehearses what packages install and what the servers' own
documentation shows: no alarm. test_rehearsal_postfix.py has more of Postfix's
documentation in one configuration (test_documented_examples)."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

import test_rehearsal_exim as exim
import test_rehearsal_postfix as postfix
import test_rehearsal_sendmail as sendmail
from lab.stock import MAIN

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

run = postfix.run
machine, directory = exim.machine, exim.directory

# settings of STANDARD_CONFIGURATION_README and VIRTUAL_README besides Debian's
POSTFIX = {
    "Debian's": ("", {}),
    "a null client": ("""\
myorigin = $mydomain
relayhost = $mydomain
inet_interfaces = loopback-only
mydestination =
""", {}),
    "a firewall of two networks": ("""\
myorigin = example.com
mydestination =
local_recipient_maps =
mynetworks = 127.0.0.0/8 12.34.56.0/24
relay_domains = example.com
parent_domain_matches_subdomains =
    debug_peer_list, smtpd_access_maps
smtpd_relay_restrictions =
    permit_mynetworks, reject_unauth_destination
relay_recipient_maps = texthash:@DIR@/relay_recipients
transport_maps = texthash:@DIR@/transport
""", {"relay_recipients": "user1@example.com x\n@example.com x\n",
      "transport": "example.com smtp:inside-gateway.example.com\n"}),
    "shared domains, and forwarding to elsewhere": ("""\
virtual_alias_domains = example.com
virtual_alias_maps = texthash:@DIR@/virtual
""", {"virtual": "postmaster@example.com postmaster\n"
                 "joe@example.com joe@somewhere.example.net\n"
                 "jane@example.com jane@somewhere-else.example.net\n"
                 "info@example.com joe\nsales@example.com jane\n"}),
}


@pytest.mark.parametrize("name", POSTFIX)
def test_postfix(run, name):
    settings, files = POSTFIX[name]
    path = postfix.closed(run, "", files)
    main = (path / "etc/main.cf").read_text()
    stock = {line.split(" = ")[0] for line in MAIN.splitlines()}
    kept = "".join(f"{line}\n" for line in main.splitlines()
                   if line.split(" = ")[0] not in stock)
    (path / "etc/main.cf").write_text(
        kept + MAIN + settings.replace("@DIR@", str(path)))
    (path / "etc/master.cf").write_text(re.sub(
        r"(?m)^(\S+ +inet +n +- +)y", r"\1n",
        pathlib.Path("/etc/postfix/master.cf.proto").read_text()))
    status, findings = postfix.rehearse(path)
    ids = {f["id"] for f in findings}
    # no stranger reaches loopback
    assert ("postfix-rehearsed" in ids) == (name != "a null client"), findings
    assert status == 0 and "postfix-not-rehearsed" not in ids, findings


def test_exim(machine, directory):
    """Exim's own default configuration, src/configure.default."""
    conf = exim.write(336, directory)
    base = conf.read_text().split("primary_hostname")[0]
    text = (exim.EXIM / "usr/share/doc/exim4-base/examples/example.conf") \
        .read_text()
    conf.write_text(base + text)
    assert exim.doctor(machine, directory) == []


@pytest.mark.parametrize("name", ["clientproto", "tcpproto", "uucpproto",
                                  "vangogh.cs"])
def test_sendmail(name):
    """Of those that come with Sendmail, as cf/README speaks of them."""
    cf = sendmail.doctor_cases.PACKAGE / "usr/share/sendmail/cf"
    path = pathlib.Path(tempfile.mkdtemp(prefix="rehearsal-", dir="/srv"))
    try:
        path.chmod(0o755)
        (path / "queue").mkdir(mode=0o700)
        mc = (cf / "cf" / f"{name}.mc").read_text("latin-1")
        mc = f"divert(-1)\ninclude(`{cf}/m4/cf.m4')\n" + mc
        mc = mc.replace("OSTYPE(`unknown')", "OSTYPE(`linux')")
        mc = re.sub(r"(?m)^(OSTYPE\(.*)$", r"\1\ndivert(0)dnl\n"
                    f"define(`QUEUE_DIR', `{path}/queue')dnl\n"
                    f"define(`confPID_FILE', `{path}/pid')dnl\n"
                    "define(`ALIAS_FILE', `')dnl", mc)
        (path / "sendmail.mc").write_text(mc)
        with open(path / "sendmail.cf", "w") as to:
            subprocess.run(["m4", path / "sendmail.mc"],
                           stdout=to, check=True)
        (path / "popgate.conf").write_text("")
        assert sendmail.examine(path / "sendmail.cf", path / "popgate.conf") \
            == []
    finally:
        shutil.rmtree(path)
