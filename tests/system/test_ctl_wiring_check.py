# SPDX-License-Identifier: ISC
"""popgatectl wiring MTA --check: the running mail server is asked by dialogue
on every service, and the exit status says what it does."""
import subprocess

import pytest

from lab import wirings
from lab.process import wait_for
from lab.site import BUILD

WIRED, NOT_WIRED, OPEN = 0, 1, 2


def check(lab, mta, *options, code):
    done = subprocess.run(
        [BUILD / "popgatectl", "-c", lab.popgate.config, "wiring", mta,
         "--check", *options], capture_output=True, text=True)
    assert code in (None, done.returncode), done
    return done.stdout


class PostfixCheck(wirings.PostfixPolicy):
    def check(self, code):
        return check(self, "postfix", "--config-dir",
                     self.site.root / "postfix/etc", code=code)

    def setting(self, *arguments):
        """Change it, and wait until smtpd has read it."""
        etc = self.site.root / "postfix/etc"
        subprocess.run(["postconf", "-c", etc, *arguments], check=True)
        subprocess.run(["postfix", "-c", etc, "reload"], check=True,
                       capture_output=True)


@pytest.mark.usefixtures("lab")
class TestPostfix:
    wiring = PostfixCheck

    def test_wired(self, lab):
        said = lab.check(WIRED)
        assert "smtp/inet: a stranger is refused by popgate\n" in said
        assert "smtp/inet: our own mail is accepted\n" in said
        assert "2525/inet: a stranger is refused by popgate\n" in said
        assert not lab.escaped()
        lab.popgate.wait_decision(client="198.18.255.2", verdict="reject")

    @pytest.mark.parametrize("setting, who", [
        ("smtpd_client_restrictions=reject", "smtpd_client_restrictions"),
        ("smtpd_sender_restrictions=reject", "smtpd_sender_restrictions"),
        ("smtpd_relay_restrictions=reject_unauth_destination",
         "reject_unauth_destination, in front of popgate"),
    ])
    def test_another_list_answers(self, lab, setting, who):
        name = setting.partition("=")[0]
        before = subprocess.run(
            ["postconf", "-c", lab.site.root / "postfix/etc", name],
            capture_output=True, text=True, check=True).stdout
        lab.setting("-e", setting)
        try:
            wait_for(lambda: f"refused, but not by popgate: by {who}" in
                     lab.check(None) or None, "the new setting")
            lab.check(NOT_WIRED)
        finally:
            lab.setting("-e", before.replace(" = ", "=", 1).strip())

    def test_open(self, lab):
        lab.setting("-P", "2525/inet/smtpd_milters=")
        try:
            said = wait_for(lambda: (said := lab.check(None)) and
                            "MAY RELAY" in said and said, "an open relay")
            assert "2525/inet: a stranger MAY RELAY" in said
            lab.check(OPEN)
        finally:
            lab.setting("-PX", "2525/inet/smtpd_milters")

    def test_dead(self, lab):
        """A service that asks popgate is closed, and says so; one that only
        has the milter isn't."""
        lab.popgate.milter.kill()
        try:
            said = lab.check(OPEN)
            assert "not by popgate: by the wiring, as popgate gives no " \
                "answer, at RCPT: 451" in said
            assert "smtp/inet: our own mail is accepted\n" in said
            assert "2525/inet: a stranger MAY RELAY" in said
        finally:
            lab.popgate.start_milter()
