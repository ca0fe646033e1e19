# SPDX-License-Identifier: ISC
"""popgatectl setup with Exim: as Debian's package leaves it, split and in one
template, and with a file of its own."""
import os
import pathlib
import re
import subprocess

import pytest

from lab.box import login
from lab.proc import running
from lab.process import wait_for
from lab.site import BUILD
from lab.stock import CONF, CTL
from lab.stock_exim import StockExim

STRANGER, CLIENT = "203.0.113.9", "203.0.113.10"
EDITED = {
    "split": "/etc/exim4/conf.d/acl/30_exim4-config_check_rcpt",
    "template": "/etc/exim4/exim4.conf.template",
    "single": "/etc/exim4/exim4.conf",
}


@pytest.fixture(params=EDITED)
def stock(request, keep):
    yield from keep(StockExim(request.param))


@pytest.fixture
def single(keep):
    yield from keep(StockExim("single"))


def relay(stock, client):
    return stock.say("somebody@example.org", "friend@example.net", client)


def own(stock):
    return stock.say("somebody@example.org", "postmaster@lab.test", STRANGER)


def kill_milter():
    # by a child: numbers of /proc are those of its process table, not of ours
    for pid in running(BUILD / "popgate-milter"):
        subprocess.run(["kill", "-9", str(pid)], check=True)


def test_there_and_back(stock):
    stock.start()
    assert str(relay(stock, STRANGER)) == "550 relay not permitted"
    plan = stock.setup().stdout
    assert f"+++ {EDITED[stock.form]}" in plan and not stock.changed()

    # split is the one of which the copy makes Exim's file; see test_trial, too
    skip = ("--answer", "trial=skip") if stock.form != "split" else ()
    done = stock.setup("--apply", *skip)
    assert "Done." in done.stdout and done.stderr == ""
    assert "a client with a login relays at port 25: 250" in done.stdout
    assert stock.changed() == {EDITED[stock.form], str(CONF),
                               "/etc/popgate/exim-closed.conf"}
    assert f"Relaying denied for {STRANGER}" in str(relay(stock, STRANGER))
    assert own(stock).code == 250
    with open("/var/log/mail.log", "a") as log:
        log.write(login(CLIENT))
    wait_for(lambda: CLIENT in subprocess.run(
        [CTL, "list"], capture_output=True, text=True).stdout, "a login")
    assert relay(stock, CLIENT).code == 250
    assert "Nothing to change" in stock.setup("--apply").stdout
    said = subprocess.run([CTL, "wiring", "exim"], capture_output=True,
                          text=True, check=True).stdout
    assert "nothing to do" in said

    kill_milter()
    wait_for(lambda: relay(stock, CLIENT).code == 451, "its end")
    assert relay(stock, STRANGER).code == 451
    assert own(stock).code == 250
    stock.setup("--apply")
    assert relay(stock, CLIENT).code == 250

    assert "All of it is as it was before" in stock.setup("--undo").stdout
    assert not stock.changed()
    assert str(relay(stock, CLIENT)) == "550 relay not permitted"
    assert own(stock).code == 250


@pytest.mark.parametrize("text,words", [
    ("# Ansible managed\n", "is written by Ansible"),
    ("#!!# cPanel Exim 4 Config\n", "is written by cPanel"),
    ("# This file is maintained by a panel\n", "written by another program"),
    ("acl_smtp_rcpt = nowhere\n", "no ACL of that name"),
    ("acl_smtp_rcpt = ${acl_x}\n", "no ACL of that name"),
    ("no such option = 1\n", "configuration error in line 1"),
    ("POPGATE = /old/policy.sock\n", "an older wiring is there"),
])
def test_refused(single, text, words):
    """Before anything is changed, with the reason."""
    conf = pathlib.Path("/etc/exim4/exim4.conf")
    conf.write_text(text + conf.read_text().replace(
        "acl_smtp_rcpt = acl_check_rcpt\n",
        "" if "acl_smtp_rcpt" in text else "acl_smtp_rcpt = acl_check_rcpt\n"))
    before = conf.read_bytes()
    done = single.setup("--apply", code=None)
    assert done.returncode not in (0, 1), done
    assert words in done.stdout + done.stderr, done
    assert conf.read_bytes() == before
    assert not CONF.exists()
    assert not pathlib.Path("/etc/popgate/exim-closed.conf").exists()



def test_domains(single):
    """Each name once, however it is written, and however many there are."""
    conf = pathlib.Path("/etc/exim4/exim4.conf")
    text = conf.read_text()
    host, = re.findall(r"(?m)^primary_hostname *= *(\S+)", text)
    many = [f"d{n}.customers.example" for n in range(60)]
    conf.write_text(re.sub(
        r"(?m)^domainlist local_domains *= *",
        f"domainlist local_domains = @ : {host} : {host.upper()} : "
        + "".join(f"{name} : " for name in many), text, count=1))
    said, = re.findall(r"relay\.local_domains = \[(.*?)\]",
                       single.setup().stdout)
    names = re.findall('"(.*?)"', said)
    assert {*many, host} <= set(names)
    assert len({name.lower() for name in names}) == len(names)


HIDDEN = """\
  deny message = not from you
       condition = ${if match_domain{$domain}{+local_domains}{no}{yes}}
"""


def test_trial(single):
    """A refusal that the plan doesn't see: the copy's Exim names it, and
    nothing is changed."""
    conf = pathlib.Path("/etc/exim4/exim4.conf")
    conf.write_text(conf.read_text().replace(
        "acl_check_rcpt:\n", "acl_check_rcpt:\n" + HIDDEN))
    before = conf.read_bytes()
    done = single.setup("--apply", code=65)
    assert ("refuses a client that has logged in: 550 not from you (to RCPT)"
            in done.stderr), done
    assert conf.read_bytes() == before and not CONF.exists()


BEHIND = """\
acl_check_predata:
  accept authenticated = *
  accept condition = ${if eq{$recipients}{friend@example.net}{no}{yes}}
  deny message = no message of yours

"""


def test_trial_behind_data(single):
    """As in test_trial, by the ACL that is asked at DATA."""
    conf = pathlib.Path("/etc/exim4/exim4.conf")
    conf.write_text("acl_smtp_predata = acl_check_predata\n"
                    + conf.read_text().replace(
                        "acl_check_rcpt:\n", BEHIND + "acl_check_rcpt:\n"))
    before = conf.read_bytes()
    done = single.setup("--apply", code=65)
    assert "the message of a client that has logged in: 550 no message" in \
        done.stderr, done
    assert conf.read_bytes() == before and not CONF.exists()


class TestPidFile:
    def test_a_pipe(self, single):
        """Exim's user may write the directory of its pid files: a pipe there
        has nobody wait."""
        path = pathlib.Path("/run/exim4/exim.pid")
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        single.setup("--apply", "--answer", "trial=skip")
        single.setup("--undo")
        assert not single.changed()
