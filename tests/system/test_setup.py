# SPDX-License-Identifier: ISC
"""popgatectl setup on a machine with Debian's stock Postfix: what it promises
on the wire, and that everything comes back."""
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess

from lab.box import EX_CONFIG, EX_UNAVAILABLE, login
from lab.process import wait_for
from lab.site import BUILD
from lab.tls import certificate
from lab.stock import CONF, CTL, JOURNAL, daemon, own, relay, tree

STRANGER, CLIENT = "203.0.113.9", "203.0.113.20"
POSTFIX = {"/etc/postfix/main.cf", "/etc/postfix/master.cf"}


class TestThereAndBack:
    def test_all(self, stock):
        stock.start()
        before = relay(stock, STRANGER)
        assert before.code == 454
        # a plan changes nothing
        plan = stock.setup().stdout
        assert "smtp/inet takes mail, in a chroot" in plan
        assert "+smtpd_milters = " in plan and "popgate-collector" in plan
        assert not stock.changed() and not JOURNAL.exists()
        as_json = json.loads(stock.setup("--json").stdout)
        assert as_json["mta"] == "postfix" and as_json["changes"]
        assert {f["path"] for f in as_json["files"]} == {
            *POSTFIX, str(CONF)}
        assert not as_json["refused"] and not as_json["questions"]

        done = stock.setup("--apply")
        assert "Done." in done.stdout and done.stderr == ""
        assert "a client with a login relays at smtp/inet: 250" in done.stdout
        assert "the doctor finds nothing" in done.stdout
        assert subprocess.run([CTL, "list", "--all"], capture_output=True,
                              text=True, check=False).stdout.count(
                                  "198.18.") == 0
        assert stock.changed() == {*POSTFIX, str(CONF)}
        assert relay(stock, STRANGER).code == 550
        assert f"Relaying denied for {STRANGER}" in str(relay(stock, STRANGER))
        assert own(stock).code == 250
        with open("/var/log/mail.log", "a") as log:
            log.write(login(CLIENT))
        wait_for(lambda: CLIENT in subprocess.run(
            [CTL, "list"], capture_output=True, text=True).stdout, "a login")
        assert relay(stock, CLIENT).code == 250
        said = subprocess.run([CTL, "decisions"], capture_output=True,
                              text=True).stdout
        assert re.search(rf"reject +no-login +{STRANGER}", said)

        # nothing more to do
        wired = tree("/etc/postfix", "/etc/popgate", JOURNAL)
        again = stock.setup("--apply").stdout
        assert "Nothing to change" in again and "it works" in again
        assert tree("/etc/postfix", "/etc/popgate", JOURNAL) == wired
        assert "Nothing to change" in stock.setup().stdout

        # popgate is dead: closed, and our own mail goes on; setup revives it
        # by a process of the namespace, whose numbers these are
        subprocess.run(["kill", "-9", str(daemon("popgate-milter"))],
                       check=True)
        wait_for(lambda: not daemon("popgate-milter"), "its end")
        for client in (STRANGER, CLIENT):
            assert relay(stock, client).code // 100 == 4
        assert own(stock).code == 250
        assert "start popgate-milter" in stock.setup().stdout
        stock.setup("--apply")
        assert relay(stock, CLIENT).code == 250

        undone = stock.setup("--undo").stdout
        assert "All of it is as it was before" in undone
        assert not stock.changed()
        assert list(JOURNAL.iterdir()) == []
        assert not daemon("popgate-milter")
        assert not daemon("popgate-collector")
        assert relay(stock, CLIENT) == before
        assert own(stock).code == 250
        assert "nothing to undo" in stock.setup("--undo").stdout

    def test_monitor(self, ready):
        ready.start()
        before = relay(ready, CLIENT)
        done = ready.setup("--monitor", "--apply").stdout
        assert 'mode = "observe"' in CONF.read_text() and "watches" in done
        subprocess.run([CTL, "add", CLIENT], check=True, capture_output=True)
        assert relay(ready, CLIENT) == before
        assert relay(ready, STRANGER) == before
        assert own(ready).code == 250
        said = wait_for(lambda: re.search(
            rf"would-accept +recent-login +{CLIENT}", subprocess.run(
                [CTL, "decisions"], capture_output=True, text=True).stdout),
            "the record")
        assert said
        assert "observe" in ready.setup("--json").stdout
        # and then in earnest
        ready.setup("--apply")
        assert relay(ready, CLIENT).code == 250
        assert relay(ready, STRANGER).code == 550
        ready.setup("--undo")
        assert not ready.changed()
        assert relay(ready, CLIENT) == before


class TestEdited:
    def test_left(self, ready):
        """The admin changes main.cf afterwards: his work isn't undone, and
        the printed command merges."""
        ready.setup("--apply", "--answer", "trial=skip")
        subprocess.run(["postconf", "-e", "delay_warning_time=4h"], check=True)
        done = ready.setup("--undo", code=1).stdout
        assert "left: /etc/postfix/main.cf" in done
        assert ready.changed() == {"/etc/postfix/main.cf"}
        command = re.search(r"By hand: (diff .*)", done)[1]
        again = ready.setup("--undo").stdout
        assert "nothing to undo" in again and command in again
        subprocess.run(command, shell=True, check=True, capture_output=True)
        main = (ready.etc / "main.cf").read_text()
        assert "popgate" not in main
        assert "delay_warning_time = 4h" in main

    def test_not_shown(self, ready):
        """Nothing was tried, and a dead filter puts everything off: it isn't
        said that all works."""
        subprocess.run(["postconf", "-e", "smtpd_milters=inet:127.0.0.1:1",
                        "milter_default_action=tempfail"], check=True)
        ready.start()
        done = ready.setup("--apply", "--answer", "trial=skip").stdout
        assert "not shown for a client with a login at " in done, done
        assert "hasn't shown that they work" in done and "Done." not in done

    def test_settings_are_kept(self, ready):
        """The admin's own settings in popgate.conf stay."""
        CONF.write_text('# mine\nlogins: { window = "10m"; };\n'
                        'relay: { local_domains = [ "lab.test" ];\n'
                        '  # not this one\n  mode = "monitor"; };\n')
        ready.setup("--apply", "--answer", "trial=skip")
        text = CONF.read_text()
        assert text.startswith('# mine\nlogins: { window = "10m"; };\n')
        assert 'local_domains = [ "lab.test" ];' in text
        assert '# not this one\n  mode = "enforce"; };' in text
        ready.setup("--undo")
        assert 'mode = "monitor"' in CONF.read_text()
        # nobody is told to wire what was unwired on purpose
        said = subprocess.run([CTL, "status"], capture_output=True,
                              text=True).stdout
        assert "OK        mail server" in said, said
        assert "popgatectl setup put back what it had changed" in said


# systemctl's verbs as setup uses them: units of popgate, their state in files,
# and the real daemons.
SYSTEMCTL = """\
#!/bin/sh
echo "$*" >>/run/fake/calls
verb=$1
for unit; do :; done
pid=$(pidof -s {build}/$unit 2>/dev/null)
stop() {{ [ -z "$pid" ] || {{ kill $pid
    while kill -0 $pid 2>/dev/null; do sleep 0.05; done; }}; }}
case $verb in
cat) test -e {build}/$unit ;;
is-active) test -n "$pid" ;;
is-failed) false ;;
show) cat /run/fake/paths ;;
is-enabled) test -e /run/fake/$unit ;;
enable) : >/run/fake/$unit ;;
disable) rm -f /run/fake/$unit ;;
restart) stop; mkdir -p /run/popgate
    chgrp postfix /run/popgate; {build}/$unit -d </dev/null >/dev/null 2>&1 ;;
stop) stop ;;
esac
"""


def run_systemd(script):
    """It seems to run, and this script is systemctl."""
    pathlib.Path("/run/systemd/system").mkdir(parents=True)
    systemctl = pathlib.Path("/usr/bin/systemctl")
    systemctl.unlink(missing_ok=True)
    systemctl.write_text(script)
    systemctl.chmod(0o755)


def test_refused_before_popgate(ready):
    """A submission service that wants TLS first isn't taken for popgate's
    refusal, whatever popgate has refused meanwhile."""
    cert = certificate(ready.site)
    with open(ready.etc / "main.cf", "a") as main:
        main.write(f"smtpd_tls_chain_files = {cert}\n")
    with open(ready.etc / "master.cf", "a") as master:
        master.write("submission inet n - n - - smtpd\n"
                     "  -o smtpd_tls_security_level=encrypt\n")
    ready.before = tree("/etc/postfix", "/etc/popgate")
    ready.start().wait(587)
    skip = "--answer", "trial=skip"
    ready.setup("--apply", *skip)
    assert relay(ready, STRANGER).code == 550
    ready.setup("--undo")
    with sqlite3.connect("/var/lib/popgate/audit.db") as db:
        assert db.execute(
            "UPDATE channel_decision SET last_at = at + 3600000 "
            "WHERE client = '198.18.255.2'").rowcount
    done = ready.setup("--apply", *skip).stdout
    assert "relays at smtp/inet: 250" in done
    assert "login at submission/inet: 530" in done


class TestSystemd:
    """Units that are enabled and started, and what --undo makes of them."""

    def test_units(self, ready):
        fake = pathlib.Path("/run/fake")
        fake.mkdir()
        run_systemd(SYSTEMCTL.format(build=BUILD))
        ready.start()
        plan = ready.setup().stdout
        assert "start popgate-milter, and enable it at boot" in plan
        calls = (fake / "calls").read_text()
        assert not re.search(r"(?m)^(enable|restart)", calls)
        ready.setup("--apply", "--answer", "trial=skip")
        assert relay(ready, STRANGER).code == 550
        assert {path.name for path in fake.iterdir()} == {
            "calls", "popgate-collector", "popgate-milter"}
        assert "Nothing to change" in ready.setup("--apply").stdout
        ready.setup("--undo")
        assert {path.name for path in fake.iterdir()} == {"calls"}
        assert not daemon("popgate-milter") and not ready.changed()

    def test_where_the_unit_may_write(self, ready):
        """Sockets below the queue directory: under ProtectSystem=strict the
        unit needs a right of its own there, and is told how to get it."""
        fake, place = pathlib.Path("/run/fake"), "/var/spool/postfix/popgate"
        fake.mkdir()
        run_systemd(SYSTEMCTL.format(build=BUILD))
        CONF.write_text(
            f'milter: {{ listen = "unix:{place}/milter.sock"; }};\n'
            f'permit: {{ policy = "unix:{place}/policy.sock"; }};\n')
        ready.before = tree("/etc/postfix", "/etc/popgate")
        says = f"ReadWritePaths=-{place}"
        for paths in ("-/run/popgate", f"-{place}2"):
            (fake / "paths").write_text(f"ReadWritePaths={paths}\n")
            done = ready.setup("--apply", code=EX_CONFIG).stdout
            assert "no such directory" in done and says in done
            assert not ready.changed()
        (fake / "paths").write_text(f"ReadWritePaths=/run -{place}\n")
        assert says not in ready.setup("--apply", code=EX_CONFIG).stdout
        # somebody else's: it stays theirs, and ours is to be below
        pathlib.Path(place).mkdir()
        done = ready.setup("--apply", code=EX_CONFIG).stdout
        assert f"install -d -o popgate -g postfix -m 2755 {place}/popgate" \
            in done and "chown" not in done
        assert not ready.changed()
        # its group's will do
        shutil.chown(place, "root", "popgate")
        os.chmod(place, 0o2775)
        assert "may not make a socket" not in ready.setup(code=None).stdout

    def test_no_units(self, ready):
        run_systemd("#!/bin/sh\nexit 1\n")
        done = ready.setup("--apply", code=EX_UNAVAILABLE)
        assert "systemd has no unit popgate-milter" in done.stdout
        assert not ready.changed()
