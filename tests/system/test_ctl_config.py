# SPDX-License-Identifier: ISC
"""popgatectl check-config and dump-config."""
import pathlib
import subprocess

import pytest

from lab.box import EX_CONFIG, EX_NOINPUT, MILTER, jsons
from lab.site import TOP


def test_check_config(box):
    done = box.run("check-config")
    assert done.stdout.endswith("good (2 local domains, 1 sources)\n")
    box.configure(relay='mode = "monitor"; trusted_networks = [ "0.0.0.0/0" '
                  ']; collector_grace = 0;')
    notes = box.run("check-config").stderr
    for word in ("open relay", "monitor", "collector_grace"):
        assert word in notes
    # in the milter's words
    said = subprocess.run([MILTER, "-t", "-c", box.conf],
                          capture_output=True, text=True)
    assert said.returncode == 0
    warning = said.stderr.split("]: ")[1]
    assert warning.endswith("0.0.0.0/0 may relay without a login: that is an "
                            "open relay\n")
    assert f"note: {warning}" in notes
    box.configure(relay='local_mailers = [ "esmtp" ];')
    assert "would open the relay" in box.err("check-config", code=EX_CONFIG)
    # a log that isn't there, or a journal, is waited for; and said
    sources = box.path / "sources.conf"
    sources.write_text('collector: { sources = ( { file = "/nowhere/log"; }, '
                       '{ journal = "system"; } ); };')
    notes = box.run("check-config", str(sources)).stderr
    assert "/nowhere/log: No such file or directory" in notes
    assert ("journald doesn't run here" in notes) != \
        pathlib.Path("/run/systemd/journal/socket").exists()
    box.err("check-config", "/nonexistent.conf", code=EX_NOINPUT)
    # what is found only when it is used has its place, too
    box.configure(relay='sender_binding = "domain";\n'
                  'sender_addresses = [ "users" ];')
    with open(box.conf) as f:
        line = f.read().split("sender_addresses")[0].count("\n") + 1
    assert (f"{box.conf}:{line}: relay.sender_addresses: 'users': expected"
            in box.err("check-config", code=EX_CONFIG))


def dumped(box, *args):
    return {v.pop("key"): v for v in jsons(box.out("dump-config", "--json",
                                                   *args))}


def test_dump_config_origins(box):
    more = box.path / "more.conf"
    with open(more, "w") as out:
        out.write('\nreply: { no_login = "\\"no\\" \\\\ for {client}"; };\n')
    with open(box.conf, "a") as out:
        out.write('@include "%s"\n' % more)
    got = dumped(box)
    assert got["logins.database"] == {"value": str(box.logins), "default": False,
                                      "file": str(box.conf), "line": 2}
    assert got["audit.queue"] == {"value": 65536, "default": True,
                                  "file": None, "line": None}
    assert got["logins.window"]["value"] == "30m"
    assert got["relay.never_authorize"]["value"] == ["127.0.0.0/8", "::1"]
    assert got["collector.sources"]["value"] == [{"file": str(box.log)}]
    assert got["collector.custom"]["value"] == []
    assert got["reply.no_login"]["file"] == str(more)
    assert got["reply.no_login"]["line"] == 2
    assert got["reply.no_login"]["value"] == '"no" \\ for {client}'
    text = box.out("dump-config")
    assert "    # %s:2\n    no_login = " % more in text
    assert '    # default\n    queue = 65536;\n' in text


@pytest.mark.parametrize("text", [
    "", "logins: { window = 91; keep = \"36h\"; };",
    """relay: { mode = "monitor"; never_authorize = [ "own", "10.0.0.0/8" ];
       local_domains = [ "postfix:/etc/postfix", ".b.test" ];
       trusted_networks = ( "2001:db8::/32" ); collector_grace = "0s"; };
       milter: { listen = ""; mode = "0600"; };
       audit: { record = "all"; durability = "none"; };
       reply: { denied = "quote\\"back\\\\slash %s"; };
       collector: { servers = [ "dovecot", "courier" ];
         sources = ( { file = "/a \\"b\\"\\t\\x1b[2J\\xff"; },
           { file = "/\\xc3\\xbc"; }, { stdin = true; },
           { journal = "system"; }, { socket = "/run/x"; } );
         custom = ( { program = "p"; pattern = "^\\\\S+ (?<ip>\\\\S+)$"; },
           { program = "q"; pattern = "^x$"; unit = "q.service"; } );
         mirror = ( { file = "/m/a"; format = "cidr"; value = "OK yes"; },
           { file = "/m/b.db"; format = "relayers.db"; } ); };"""])
def test_dump_config_loads_to_the_same(box, text):
    """The output is a configuration, with the same values."""
    with open(box.conf, "w") as out:
        out.write(text)
    want = dumped(box)
    dump = box.path / "dump.conf"
    with open(dump, "w") as out:
        out.write(box.out("dump-config"))
    got = dumped(box, dump)
    assert {k: v["value"] for k, v in got.items()} == \
        {k: v["value"] for k, v in want.items()}
    assert {v["file"] for v in got.values()} == {str(dump)}
    assert len({v["line"] for v in got.values()}) == len(got)


def test_dump_config_knows_every_key_of_the_manual(box):
    with open(TOP / "docs/man/popgate.conf.5") as man:
        section, keys = None, set()
        for line in man:
            if line.startswith(".Ss "):
                section = line.split()[1]
            elif line.startswith(".It Ic ") and section is not None:
                keys.add("%s.%s" % (section, line.split()[2]))
    assert set(dumped(box)) == keys


def test_the_manual_has_every_command(box):
    listed = {line.split()[0] for line in box.out("help").splitlines()
              if line.startswith("  ") and line[2:3].isalpha()}
    manual = {line.split()[2] for line in
              (TOP / "docs/man/popgatectl.8").read_text().splitlines()
              if line.startswith(".It Cm ")}
    assert len(listed) > 30 and listed - manual <= {"help"}


def test_dump_config_bad_missing_default(box):
    with open(box.conf, "a") as out:
        out.write("logins2: { };")
    assert "logins2" in box.err("dump-config", code=EX_CONFIG)
    box.err("dump-config", "/nonexistent.conf", code=EX_NOINPUT)
