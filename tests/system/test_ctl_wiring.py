# SPDX-License-Identifier: ISC
"""popgatectl wiring prints the files of etc/."""
import pytest

from lab.box import EX_CONFIG
from lab.site import TOP


def expected_wiring(box, name):
    return (TOP / "etc" / name).read_text().replace(
        "unix:/run/popgate/", f"unix:{box.path}/")


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
