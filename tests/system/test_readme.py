# SPDX-License-Identifier: ISC
"""Each command in the README does what the README says: those of popgatectl on
a machine with Debian's stock Postfix, in their order; those that build
and install are what tests/release.sh and tests/package.sh run on a bare Debian."""
import os
import re
import shlex
import subprocess

from lab.box import login
from lab.client import Smtp
from lab.process import wait_for
from lab.site import BUILD, TOP

CLIENT = "203.0.113.5"
README = (TOP / "README.md").read_text()


def commands():
    """The lines of the indented blocks, without what is said beside them."""
    text = re.sub(r"(?ms)^```.*?^```$", "", README)
    return [re.sub(r"\s+#.*", "", line) for line in
            re.findall(r"(?m)^    (\S.*)$", text)]


def is_run_here(line):
    return line.split()[0] in ("popgatectl", "sqlite3")


def test_commands_that_build_are_run_on_a_bare_system():
    release = (TOP / "tests/release.sh").read_text()
    (default,) = re.findall(r"commands=\$\{POPGATE_COMMANDS:-([^}]*)\}",
                            release)
    default = re.sub(r"\\\n\s*", "", default)
    run = {word.strip() for word in default.split("&&")}
    packaged = "".join(path.read_text() for path in (
        TOP / "tests/package.sh", *sorted((TOP / "tests/package").glob("*.sh"))))
    packaged = re.sub(r" --?[a-z]\S*|\\\n\s*", "", packaged)
    for line in commands():
        if is_run_here(line):
            continue
        for word in line.replace("sudo ", "").split("&&"):
            assert word.strip() in run or re.search(
                rf"(^|expect 0|\s){re.escape(word.strip())}(\s|$)", packaged,
                re.M), line
    # the other one, in the remark beside it
    assert "# or: make demo MTA=sendmail" in README
    assert "make demo MTA=sendmail" in run


def test_popgatectl(stock):
    """From the first look to the way back."""
    stock.start()
    said = {}
    path = f"{BUILD}:{os.environ['PATH']}"

    def run(line):
        done = subprocess.run(
            ["sh", "-c", line.replace("ADDRESS", CLIENT)], text=True,
            capture_output=True, cwd="/run",     # what they make goes with it
            env={**os.environ, "PATH": path})
        said[line] = done.stdout
        # there may be something to tell; and there is no terminal
        assert done.returncode == 0 or line in (
            "popgatectl status", "popgatectl health",
            "popgatectl watch"), (line, done)

    def log_in():
        with open("/var/log/mail.log", "a") as log:
            log.write(login(CLIENT))

    lines = [line for line in commands() if is_run_here(line)]
    assert lines[:3] == ["popgatectl setup", "popgatectl setup --apply",
                         "popgatectl list"]
    for line in lines:
        if line == "popgatectl list":
            log_in()
            wait_for(lambda: CLIENT in subprocess.run(
                [BUILD / "popgatectl", "list"], capture_output=True,
                text=True).stdout, "a login")
            with Smtp(("192.0.2.25", 25), CLIENT) as smtp:
                smtp.mail("somebody@example.org")
                assert smtp.rcpt("friend@example.net").code == 250
        run(line)
    assert "would" in said["popgatectl setup"] or \
        "+smtpd_milters" in said["popgatectl setup"]
    assert CLIENT in said["popgatectl list"]
    assert "may relay" in said["popgatectl why ADDRESS"]
    assert "friend@example.net" in said["popgatectl decisions --since 2h"]
    assert "popgate-milter" in said["popgatectl status"]
    assert said["popgatectl health"].startswith("POPGATE ")
    assert "as it was before" in said["popgatectl setup --undo"]
    assert not stock.changed()
    # every command was one of popgatectl's own
    assert {shlex.split(line)[0] for line in lines} == {"popgatectl",
                                                        "sqlite3"}
