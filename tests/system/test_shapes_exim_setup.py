# SPDX-License-Identifier: ISC
"""Exim as admins have it, wired by popgatectl setup: what it says on the wire
before, wired, with popgate dead, and unwired.

POPGATE_SHAPES_SETUP=all: all of them, and those of test_shapes_exim.py.
"""
import os
import pathlib
import subprocess

import pytest

from lab.client import Smtp
from lab.process import wait_for
from lab.stock import CTL
from lab.stock_exim import StockExim
from test_setup_exim import kill_milter
from test_shapes_exim import MAIN, SHAPES, TAIL, WITHOUT_AUTH

FOREIGN, OWN, UNKNOWN = "x@elsewhere.test", "alice@lab.test", "nobody@lab.test"
STRANGER = "a@elsewhere.test"
NUMBERS = iter(range(1, 255))

# name: ACLs, settings, files, and more questions: sender, recipient, HELO
MORE = {
    "HELO and connection refuse": ("""\
acl_connect:
  deny message = you are listed
       hosts = 203.0.113.250
  accept

acl_helo:
  accept hosts = +relay_from_hosts
  deny message = we are localhost
       condition = ${if match{$sender_helo_name}{\\N^localhost$\\N}}
  accept

acl_check_rcpt:
  accept hosts = :
  accept authenticated = *
  require message = relay not permitted
          domains = +local_domains : +relay_to_domains
""" + TAIL, "acl_smtp_connect = acl_connect\nacl_smtp_helo = acl_helo", {},
                [(STRANGER, OWN, "localhost")]),
    "users may write from lab.test": ("""\
acl_mail:
  accept hosts = :
  accept authenticated = *
  deny message = AUTH first
       sender_domains = +local_domains
  accept

acl_check_rcpt:
  accept hosts = :
  accept authenticated = *
         control = submission/sender_retain/domain=
  require message = relay not permitted
          domains = +local_domains : +relay_to_domains
""" + TAIL, "acl_smtp_mail = acl_mail", {}, [("alice@lab.test", OWN, "h.test")]),
    "an included ACL": ("""\
.include /etc/exim4/acl.conf
""", "", {"acl.conf": """\
acl_check_rcpt:
  accept hosts = :
  .include_if_exists /etc/exim4/none.conf
  accept authenticated = *
  require message = relay not permitted
          domains = +local_domains : +relay_to_domains
""" + TAIL}, []),
    "tables of files": ("""\
acl_check_rcpt:
  accept hosts = :
  deny message = blacklisted
       senders = lsearch*@;/etc/exim4/bad_senders
  accept hosts = net-lsearch;/etc/exim4/relay_hosts
  accept authenticated = *
         condition = ${lookup{$authenticated_id}lsearch{/etc/exim4/users}{1}{0}}
  accept domains = lsearch;/etc/exim4/domains
         endpass
         message = unknown user
         verify = recipient
  deny message = relay not permitted
""", "", {"bad_senders": "spam@elsewhere.test: x\n", "users": "carol: x\n",
          "relay_hosts": "192.168.99.1: x\n", "domains": "lab.test: x\n"},
                        [("spam@elsewhere.test", OWN, "h.test")]),
    "discard and drop": ("""\
acl_check_rcpt:
  accept hosts = :
  discard senders = devnull@elsewhere.test
          log_message = dropped
  drop message = no @ in local parts
       local_parts = ^.*[@%!|]
  accept authenticated = *
  deny message = relay not permitted
       !domains = +local_domains : +relay_to_domains
       !hosts = +relay_from_hosts
  accept domains = +local_domains
         endpass
         verify = recipient
""", "", {}, [("devnull@elsewhere.test", OWN, "h.test"),
              (STRANGER, "a%b@lab.test", "h.test")]),
    "the sender is verified first": ("""\
acl_check_rcpt:
  accept hosts = :
  require verify = sender
  deny message = sender is no user of ours
       sender_domains = lab.test
       local_parts = !alice
       !verify = sender
  accept authenticated = *
  accept hosts = +relay_from_hosts
  require message = relay not permitted
          domains = +local_domains : +relay_to_domains
""" + TAIL, "", {}, [("nobody@lab.test", OWN, "h.test")]),
    "DATA has a word": ("""\
acl_check_rcpt:
  accept hosts = :
  accept authenticated = *
  require message = relay not permitted
          domains = +local_domains : +relay_to_domains
  require verify = recipient
  warn set acl_m_seen = ${eval:0$acl_m_seen+1}
  accept

acl_check_data:
  deny message = too large
       condition = ${if >{$message_size}{50M}}
  accept hosts = +relay_from_hosts
  warn add_header = X-Seen: $acl_m_seen
  accept
""", "acl_smtp_data = acl_check_data", {}, []),
    "ACL variables from the start": ("""\
acl_connect:
  warn set acl_c_trust = ${if match_ip{$sender_host_address}{192.0.2.0/28}{1}{0}}
  accept

acl_check_rcpt:
  accept condition = ${if eq{$acl_c_trust}{1}}
  accept authenticated = *
  warn condition = ${if !def:acl_c_said}
       set acl_c_said = 1
       log_message = seen
  deny domains = !+local_domains : !+relay_to_domains
       message = relay of $local_part@$domain not permitted for \\
                 $sender_host_address
  deny !verify = recipient
       message = no such user
  accept
""", "acl_smtp_connect = acl_connect", {}, []),
    "a condition chooses the ACL": ("""\
acl_users:
  accept authenticated = *
  deny message = AUTH first

acl_mx:
  accept hosts = :
  accept authenticated = *
  require message = relay not permitted
          domains = +local_domains : +relay_to_domains
""" + TAIL, "daemon_smtp_ports = 25 : 587\n"
              "acl_smtp_rcpt = ${if ={$received_port}{587}{acl_users}{acl_mx}}",
                                    {}, []),
    "an ACL asks an ACL": ("""\
acl_relay:
  accept authenticated = *
  accept hosts = +relay_from_hosts
  deny

acl_check_rcpt:
  accept hosts = :
  accept acl = acl_relay
  deny message = relay not permitted
       domains = !+local_domains : !+relay_to_domains
  accept verify = recipient
""", "", {}, []),
    "greylisting before the relay check": ("""\
acl_check_rcpt:
  accept hosts = :
  accept authenticated = *
  defer message = try again later
        condition = ${if eq{$sender_address_local_part}{grey}}
        log_message = greylisted
  deny message = relay not permitted
       ! domains = +local_domains : +relay_to_domains
  accept verify = recipient/callout=5s,defer_ok
""", "", {}, [("grey@elsewhere.test", OWN, "h.test")]),
    "only those who verify relay": ("""\
acl_check_rcpt:
  accept hosts = :
  accept encrypted = *
         authenticated = *
  deny authenticated = *
       !encrypted = *
       condition = ${if eq{$authenticated_id}{never}}
  accept authenticated = *
  accept domains = +local_domains
         verify = recipient
  accept domains = +relay_to_domains
  deny
""", "", {}, []),
    "messages that expand, and a delay": ("""\
acl_check_rcpt:
  accept hosts = :
  accept authenticated = *
  deny delay = 0s
       message = $sender_host_address: relay not permitted\\n\\
                 see http://lab.test/?ip=$sender_host_address
       domains = !+local_domains : !+relay_to_domains
       !hosts = +relay_from_hosts
  require verify = recipient
  accept
""", "", {}, []),
}


# the kinds of them: those that were refused or changed once, and two more
ALWAYS = ("users may write from lab.test", "only those who verify relay",
          "nothing refuses by a statement", "an included ACL",
          "a condition chooses the ACL")


def shapes():
    found = {name: (*shape, True) for name, shape in MORE.items()}
    found.update({name: (acl, MAIN.get(name, ""), {}, [],
                         name not in WITHOUT_AUTH)
                  for name, acl in SHAPES.items()})
    if os.environ.get("POPGATE_SHAPES_SETUP") != "all":
        found = {name: found[name] for name in ALWAYS}
    return [pytest.param(*shape, id=name) for name, shape in found.items()]


def ask(client, sender, recipient, helo="h.test", auth=False):
    with Smtp(("192.0.2.25", 25), client, helo) as smtp:
        if auth:
            smtp.auth_plain("carol", "secret")
        reply = smtp.mail(sender)
        return reply if reply.code != 250 else smtp.rcpt(recipient)


def client():
    return f"203.0.113.{next(NUMBERS)}"


def untouched(more):
    """What popgate has no say in."""
    answers = [ask(client(), STRANGER, OWN), ask(client(), STRANGER, UNKNOWN),
               *(ask(client(), *words) for words in more)]
    return [(reply.code, "" if "<" in reply.text else
             reply.text.replace("203.0.113.", "")) for reply in answers]


def ctl(*words):
    return subprocess.run([CTL, *words], capture_output=True, text=True,
                          check=True).stdout


@pytest.mark.parametrize("acl,main,files,more,auth", shapes())
def test_shape(keep, acl, main, files, more, auth):
    for stock in keep(StockExim("single", acl, main, files)):
        stock.start()
        before = untouched(more)
        closed = ask(client(), STRANGER, FOREIGN)
        assert closed.code >= 400
        users = ask(client(), "carol@lab.test", FOREIGN, auth=True)
        assert users.code == 250 or not auth

        assert "Done." in stock.setup("--apply").stdout
        stranger, known = client(), client()
        ctl("add", known, "--user", "carol")
        said = ask(stranger, STRANGER, FOREIGN)
        assert said.code == 550
        assert f"Relaying denied for {stranger}" in said.text
        wait_for(lambda: stranger in ctl("decisions", "--client", stranger),
                 "its record")
        for sender in (STRANGER, "alice@lab.test"):
            assert ask(known, sender, FOREIGN).code == 250, sender
            assert ask(known, sender, OWN).code == 250, sender
        assert not auth or ask(client(), "carol@lab.test", FOREIGN,
                               auth=True).code == 250
        assert untouched(more) == before
        assert "Nothing to change" in stock.setup("--apply").stdout

        kill_milter()
        wait_for(lambda: ask(known, STRANGER, FOREIGN).code == 451, "its end")
        assert ask(client(), STRANGER, FOREIGN).code == 451
        assert not auth or ask(client(), "carol@lab.test", FOREIGN,
                               auth=True).code == 250
        assert untouched(more) == before
        assert "All of it is as it was" in stock.setup("--undo").stdout
        assert not stock.changed()
        assert ask(client(), STRANGER, FOREIGN).code == closed.code
