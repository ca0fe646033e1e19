# SPDX-License-Identifier: ISC
"""popgatectl wiring prints commands for the Postfix that is there, else the
files of etc/."""
import re
import shutil
import subprocess

import pytest

from lab.box import EX_CONFIG, EX_NOINPUT
from lab.site import TOP


def expected_wiring(box, name):
    return (TOP / "etc" / name).read_text().replace(
        "unix:/run/popgate/", f"unix:{box.path}/")


@pytest.fixture(autouse=True)
def no_postfix(monkeypatch, tmp_path):
    """None but one that --config-dir names."""
    monkeypatch.setenv("MAIL_CONFIG", str(tmp_path / "nowhere"))


@pytest.fixture
def etc(tmp_path):
    """A Postfix's configuration directory."""
    path = tmp_path / "it's etc"        # is to be quoted
    path.mkdir()
    (path / "main.cf").write_text(
        "compatibility_level = 3.6\n"
        "# our users' own\n"
        "mua = permit_sasl_authenticated, reject\n"
        "smtpd_milters = inet:127.0.0.1:11332\n"
        "smtpd_banner = it's $myhostname\n")
    (path / "master.cf").write_text(
        "smtp inet n - n - - smtpd\n"
        "submission inet n - y - - smtpd\n"
        "  -o smtpd_client_restrictions=$mua\n"
        "  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n")
    return path


def sh(commands):
    """Run them, but for those that need a running Postfix."""
    return subprocess.run(
        ["sh", "-e"], input=re.sub(r"(?m)^postfix .*", "true", commands)
        .replace("true\ntrue", "true"), text=True, capture_output=True)


def test_wiring_of_a_postfix(box, etc):
    before = {name: (etc / name).read_text()
              for name in ("main.cf", "master.cf")}
    text = box.out("wiring", "postfix", "--config-dir", etc)
    diff = box.out("wiring", "postfix", "--config-dir", etc, "--diff")
    assert before == {name: (etc / name).read_text() for name in before}
    # every command has its reason
    for paragraph in text.strip().split("\n\n"):
        assert paragraph.startswith("# "), paragraph
    assert all(len(line) < 80 or str(box.path) in line
               for line in text.splitlines() if line.startswith("#"))
    assert "it'\\''s etc' reload" in text

    assert sh(text).returncode == 0
    main, master = [(etc / name).read_text() for name in before]
    assert "mua = permit_sasl_authenticated, $popgate_client_strict, reject\n" \
        in main
    assert "# our users' own\n" in main
    assert "smtpd_milters = inet:127.0.0.1:11332, $popgate_milter\n" in main
    assert f"unix:{box.path}/policy.sock" in main
    assert "-o smtpd_client_restrictions=$mua\n" in master
    assert re.search(r"(?m)^submission +inet +n +- +n ", master)
    # the diff is what the commands have changed
    for name, old in before.items():
        path = etc / name
        made = subprocess.run(
            ["diff", "-u", "--label", path, "--label", path, "-", path],
            input=old, text=True, capture_output=True).stdout
        assert made and diff.startswith(made)
        diff = diff[len(made):]
    assert diff == ""
    # and once is enough
    assert "there is nothing to do" in \
        box.out("wiring", "postfix", "--config-dir", etc)
    assert box.out("wiring", "postfix", "--config-dir", etc, "--diff") == ""


def test_wiring_of_instances(box, etc, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(etc, other)
    with open(etc / "main.cf", "a") as out:
        out.write(f"multi_instance_directories = {other}\n")
    assert sh(box.out("wiring", "postfix", "--config-dir", etc)).returncode == 0
    for path in etc, other:
        assert "$popgate_relay_strict" in (path / "master.cf").read_text()


@pytest.mark.parametrize("setting,reason", [
    ("smtpd_relay_restrictions = permit", "close the server first"),
    ("x = unix:/opendkim/sock\nsmtpd_milters = $x", "needs"),
])
def test_wiring_says_what_it_cant(box, etc, setting, reason):
    with open(etc / "main.cf", "a") as out:
        out.write(setting + "\n")
    done = box.run("wiring", "postfix", "--config-dir", etc, code=EX_CONFIG)
    assert reason in done.stderr, done
    assert "postconf" not in done.stdout


def test_wiring_of_no_postfix(box, tmp_path):
    assert "main.cf" in box.err("wiring", "postfix", "--config-dir",
                                tmp_path / "none", code=EX_NOINPUT)
    done = box.run("wiring", "postfix")
    assert "general lines" in done.stderr
    assert done.stdout == expected_wiring(box, "postfix/closed.cf")


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


EXIM = """\
acl_smtp_rcpt = r
begin acl
r:
  accept authenticated = *
  require message = relay not permitted
          domains = lab.test
  accept
"""


def test_wiring_exim_is_a_patch(box, tmp_path):
    """patch(1) takes what --diff prints; then there is nothing to do."""
    conf = tmp_path / "exim.conf"
    conf.write_text(EXIM)
    patch = box.out("wiring", "exim", "--diff", "--config-dir", conf)
    assert f"POPGATE = {box.path}/policy.sock" in patch
    assert box.out("wiring", "exim", "--config-dir", conf).count("sed -i") == 3
    subprocess.run(["patch", "-s", conf], input=patch, text=True, check=True)
    # what the file includes is written by the commands, and not here
    conf.write_text(conf.read_text() + "acl_popgate:\n  deny\n")
    again = box.out("wiring", "exim", "--config-dir", conf)
    assert "nothing to do" in again and "sed" not in again
    assert box.out("wiring", "exim", "--diff", "--config-dir", conf) == ""


@pytest.mark.parametrize("text,words", [
    ("# Ansible managed\n" + EXIM, "is written by Ansible"),
    (EXIM.replace("  require message = relay not permitted\n"
                  "          domains = lab.test\n", ""), ":5: this accept"),
    ("POPGATE = /other.sock\n" + EXIM, "an older wiring is there"),
    ("", "expected the files that Exim reads"),
])
def test_wiring_exim_refuses(box, tmp_path, text, words):
    conf = tmp_path / "exim.conf"
    conf.write_text(text)
    assert words in box.err("wiring", "exim", "--config-dir", conf,
                            code=EX_CONFIG)


def test_wiring_exim_is_not_here(box, tmp_path):
    assert "No such file" in box.err("wiring", "exim", "--config-dir",
                                     tmp_path / "none", code=None)
