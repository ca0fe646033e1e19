# SPDX-License-Identifier: ISC
"""doctor --probe against our own wirings."""
import json
import re

import pytest

from lab import wirings


@pytest.mark.parametrize("wiring", ["PostfixPolicy", "PostfixSocketmap",
                                    "PostfixSoleGate", "SendmailClosed",
                                    "SendmailSoleGate"])
class TestWirings:
    """Our own wirings: closed to a stranger, open to who has logged in."""

    @pytest.fixture
    def lab(self, wiring):
        lab = getattr(wirings, wiring)()
        try:
            yield lab
        finally:
            lab.close()

    def test_wiring(self, lab):
        client = lab.logged_in("imap", user="bob")
        other = lab.stranger()
        before = len(lab.world.messages())
        done = lab.popgate.ctl("doctor", "--json", "--probe", "--foreign",
                               "remote.test", "--login-check", client,
                               check=False)
        findings = json.loads(done.stdout)["findings"]
        found = {}
        for finding in findings:
            found.setdefault(finding["id"], []).append(finding)
        assert {i for i in found if i.startswith("probe-")} == {
            "probe-closed", "probe-login-relays"}, findings
        assert len(found["probe-closed"]) == 2      # IPv4 and IPv6
        assert not [f for f in findings if f["severity"] == "open-relay"]
        # one who has not logged in is told so, and the table is unchanged
        done = lab.popgate.ctl("doctor", "--json", "--probe", "--foreign",
                               "remote.test", "--login-check", other,
                               check=False)
        assert "probe-login-refused" in {
            f["id"] for f in json.loads(done.stdout)["findings"]}
        assert [row["client"] for row in lab.popgate.logins()] == [client]
        # who may relay is no stranger: refused as a source
        done = lab.popgate.ctl("doctor", "--probe", "--source", client,
                               check=False)
        assert done.returncode == 64 and "login table" in done.stderr
        # nothing was sent
        lab.escaped()
        assert len(lab.world.messages()) == before
        text = lab.site.mail_log.read_text()
        # Postfix counts commands; Sendmail logs a message id with a message
        assert re.search(r"198\.18\.255\.2\]", text)
        assert not re.search(r"198\.18\.255\.2\].* data=|"
                             r"msgid=.*198\.18\.255\.2\]", text)
