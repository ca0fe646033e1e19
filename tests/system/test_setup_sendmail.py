# SPDX-License-Identifier: ISC
"""popgatectl setup on Sendmail as it is set up elsewhere: it wires the running
Sendmail, proves it, and puts everything back."""
import re

import pytest

from lab.sendmail_shape import ETC, OWN, REMOTE, Lab
from lab.sendmail_shapes import SHAPES
from test_shapes_sendmail import send

EX_USAGE, EX_CONFIG = 64, 78


@pytest.fixture(scope="module")
def lab(keep):
    yield from keep(Lab())


def shape_of(name):
    return next(shape for shape in SHAPES if shape.name == name)


def files(lab):
    """Everything that setup could touch, byte by byte, with its mode."""
    return {str(path): (path.stat().st_mode, path.read_bytes())
            for path in [*ETC.rglob("*"), lab.popgate.config]
            if path.is_file()}


def promises(lab, shape):
    stranger, user = lab.stranger(True), lab.logged_in(True)
    refused = send(lab, shape, stranger, 25, REMOTE)
    assert refused.code == 550 and "check your mail" in refused.text
    assert send(lab, shape, user, 25, REMOTE).code == 250
    assert send(lab, shape, stranger, 25, OWN).code == 250
    lab.popgate.wait_decision(client=stranger, verdict="reject")


@pytest.mark.parametrize("name", ["debian", "redhat", "own-rules",
                                  "rules-included", "no-sources",
                                  "block-lists", "old-closed"])
def test_apply_and_undo(lab, name):
    shape = shape_of(name)
    lab.install(shape)
    before = files(lab)
    plan = lab.setup()
    assert "Nothing was changed" in plan
    assert files(lab) == before
    done = lab.setup("--apply")
    assert re.search(r"a client with a login relays at \S+ \(port 25\): 250",
                     done), done
    promises(lab, shape)
    wired = files(lab)
    assert "Nothing to change" in lab.setup("--apply")
    assert files(lab) == wired
    lab.setup("--undo")
    assert files(lab) == before
    refused = send(lab, shape, lab.stranger(True), 25, REMOTE)
    assert "check your mail" not in refused.text


def test_edited_by_hand(lab):
    """sendmail.cf isn't what m4 makes: nothing is lost without asking."""
    shape = shape_of("redhat")
    lab.install(shape)
    with open(ETC / "sendmail.cf", "a") as cf:
        cf.write("D{byHand}x\n")
    before = files(lab)
    refused = lab.setup("--apply", code=EX_USAGE)
    assert "sendmail_cf" in refused and "isn't what m4 makes" in refused
    assert files(lab) == before
    lab.setup("--apply", "--answer", "sendmail_cf=edit")
    assert "D{byHand}x" in (ETC / "sendmail.cf").read_text()
    assert files(lab)[str(ETC / "sendmail.mc")] == \
        before[str(ETC / "sendmail.mc")]
    promises(lab, shape)
    lab.setup("--undo")
    assert files(lab) == before


def test_generated(lab):
    """A program writes sendmail.mc: it is asked."""
    lab.install(shape_of("old-sole-gate"))
    before = files(lab)
    assert "generated" in lab.setup("--apply", code=EX_USAGE)
    assert files(lab) == before


def test_what_sendmail_refuses(lab):
    """m4 makes a sendmail.cf with which Sendmail wouldn't start."""
    lab.install(shape_of("own-rules"))
    with open(ETC / "sendmail.mc", "a") as mc:
        mc.write("R<no tab here>\n")
    before = files(lab)
    refused = lab.setup("--apply", "--answer", "sendmail_cf=make",
                        code=EX_CONFIG)
    assert "Sendmail doesn't take" in refused, refused
    assert files(lab) == before


def test_trial(lab):
    """A rule that the admin's own check has for a recipient comes before
    popgate's: the copy's Sendmail says so, and nothing is changed."""
    lab.install(shape_of("own-rules"))
    mc = ETC / "sendmail.mc"
    mc.write_text(mc.read_text().replace(
        "R<special@", 'R<$*@example.net> $| $*\t'
        '$#error $@ 5.7.1 $: "550 not there"\nR<special@'))
    before = files(lab)
    refused = lab.setup("--apply", "--answer", "sendmail_cf=make", code=65)
    assert "refuses a client that has logged in: 550 5.7.1" in refused
    assert "not there (to RCPT)" in refused
    assert files(lab) == before


def test_refused(lab):
    """A configuration that can't be wired is said to be so, and nothing is
    changed."""
    lab.install(shape_of("no-cf.m4"))
    with open(ETC / "sendmail.mc", "a") as mc:
        mc.write("MAIL_FILTER(`gate', `S=unix:/run/popgate/milter.sock')\n")
    before = files(lab)
    refused = lab.setup("--apply", "--answer", "sendmail_cf=make",
                        code=EX_CONFIG)
    assert "sendmail.mc:" in refused and "another name" in refused
    assert files(lab) == before
