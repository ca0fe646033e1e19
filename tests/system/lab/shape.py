# SPDX-License-Identifier: ISC
"""A shape: one Postfix configuration as an admin would have it, in one file.

    # What it stands for.
    main.cf's lines
    --- master.cf ---
    services of smtpd, postscreen and filters; what else every Postfix has is
    added.  Without this section: Debian's smtp/inet, chrooted.
    --- /etc/postfix/any/path ---
    a file; a hash: or btree: table of that name is made by postmap, and
    "--- PATH sqlite ---" holds the SQL that makes it
    --- standins ---
    KIND NAME LISTEN...         see standins.py; and: sasldb, for Cyrus SASL;
    address IP, host NAME       the machine's own; certificate FILE
    --- dialogue ---
    service=smtp client=192.168.7.9 sender=x@y.test rcpt=victim@elsewhere.test
                                [login] [auth] [helo=...]  [want=REGEXP]
    --- expect ---
    name = value                see EXPECT

A value that main.cf doesn't set and that a lab needs (BASE) is added.
"""
import dataclasses
import pathlib
import re
import shlex

SECTION = re.compile(r"^--- (\S+)(?: (\w+))? ---$", re.M)

EXPECT = {
    "own": "alice@lab.test",        # a recipient of our own; nothing: none
    "unknown": "missing@lab.test",   # one that isn't there
    "user": "alice",                # of AUTH
    "user_sender": "alice@lab.test",    # what a user sends as
    "trusted": "",                  # relay.trusted_networks
    "refuses": "",      # popgatectl won't wire it: what its reason contains
    "starts": "yes",    # no: this smtpd does not start, here to say so
    "sockets": "/run/popgate",      # popgate's
    "back": "",         # services that a filter gives its mail back to: names
    "dead": "",         # services whose smtpd refuses to run: names
    "setup": "no",      # yes: wired by popgatectl setup, and unwired
}

BASE = """\
compatibility_level = 3.6
myhostname = mail.lab.test
mydestination = lab.test, $myhostname, localhost
alias_maps =
alias_database =
relayhost = [198.51.100.25]:10999
maillog_file = /var/log/mail.log
"""


@dataclasses.dataclass
class Shape:
    name: str
    purpose: str
    main: str
    master: str | None = None
    files: dict = dataclasses.field(default_factory=dict)   # (text, kind)
    standins: list = dataclasses.field(default_factory=list)
    dialogue: list = dataclasses.field(default_factory=list)
    expect: dict = dataclasses.field(default_factory=dict)

    def __getattr__(self, name):
        """A value that EXPECT names."""
        if name.startswith("_") or name not in EXPECT:
            raise AttributeError(name)
        return self.expect.get(name, EXPECT[name])


def settings(text):
    """The names that a main.cf sets."""
    return set(re.findall(r"(?m)^([A-Za-z0-9_.-]+)\s*=", text))


def read(path):
    path = pathlib.Path(path)
    parts = SECTION.split(path.read_text())
    shape = Shape(path.stem, parts[0].partition("\n")[0].lstrip("# "),
                  parts[0])
    for name, kind, text in zip(parts[1::3], parts[2::3], parts[3::3]):
        text = text.lstrip("\n") if name.startswith("/") else text.strip()
        lines = [line for line in text.splitlines()
                 if line and not line.startswith("#")]
        if name == "master.cf":
            shape.master = text
        elif name == "standins":
            shape.standins = [line.split() for line in lines]
        elif name == "dialogue":
            shape.dialogue = [question(line) for line in lines]
        elif name == "expect":
            shape.expect = dict(re.split(r"\s*=\s*", line, maxsplit=1)
                                for line in lines)
            assert set(shape.expect) <= set(EXPECT), (path, shape.expect)
        else:
            assert name.startswith("/"), (path, name)
            shape.files[name] = (text, kind)
    missing = [line for line in BASE.splitlines()
               if line.partition(" =")[0] not in settings(shape.main)]
    unset = re.search(r"(?m)^# unset: (.*)$", shape.main)
    unset = unset[1].split() if unset else []
    shape.main += "".join(f"{line}\n" for line in missing
                          if line.partition(" =")[0] not in unset)
    return shape


def question(line):
    """One line of the section "dialogue"."""
    words = {}
    for word in shlex.split(line):
        name, _, value = word.partition("=")
        words[name] = value if "=" in word else True
    return words


def read_all(directory):
    return [read(path) for path in
            sorted(pathlib.Path(directory).glob("*.cf"))]
