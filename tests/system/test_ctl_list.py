# SPDX-License-Identifier: ISC
"""popgatectl list, on few rows and on more than people read."""
from lab.box import EX_USAGE, jsons, lines


def test_list_filters_and_sorting(box):
    box.fill_logins([("192.0.2.9", "bob", -100, 1000),
                     ("192.0.2.10", "alice", -50, 2000),
                     ("10.1.1.1", "carol", -20, 500),
                     ("10.1.1.2", "old", -9000, -7200),
                     ("2001:db8::5", "alice", -10, 900)])

    def clients(*args):
        return [r["client"] for r in jsons(box.out("list", "--json", *args))]
    assert sorted(clients()) == ["10.1.1.1", "192.0.2.10", "192.0.2.9",
                                 "2001:db8::5"]
    assert clients("--sort", "client") == [
        "10.1.1.1", "192.0.2.9", "192.0.2.10", "2001:db8::5"]
    assert clients("--sort", "client", "--reverse")[0] == "2001:db8::5"
    assert clients("--sort", "last")[0] == "192.0.2.9"
    assert clients("--sort", "expires")[0] == "10.1.1.1"
    assert clients("--user", "alice") == ["192.0.2.10", "2001:db8::5"]
    assert clients("--client", "192.0.2.0/24", "--sort", "client") == [
        "192.0.2.9", "192.0.2.10"]
    assert clients("--client", "192.0.2.9") == ["192.0.2.9"]
    assert clients("--expired") == ["10.1.1.2"]
    assert len(clients("--all")) == 5
    assert clients("--server", "courier") == []
    assert "Nobody may relay" in box.out("list", "--server", "courier")
    assert "No such entry" in box.out("list", "--all", "--user", "nobody")
    # logins more than a minute ago
    assert clients("1") == ["192.0.2.9"]


def test_shared_address(box):
    """Many users behind an address: said wherever it is shown, refused by
    choice, and then not exported to those who would let it in."""
    rows = [("192.0.2.1", "user%d" % n, -60, 900) for n in range(4)]
    rows += [("192.0.2.2", "user%d" % n, -60, 900) for n in range(3)]
    rows += [("192.0.2.2", "old", -9000, -7200)]
    box.fill_logins(rows)
    ask = ("--client", "192.0.2.1", "--to", "x@far.test")

    def notes():
        return {r["client"]: r["shared"]
                for r in jsons(box.out("list", "--json"))}
    assert notes() == {"192.0.2.1": False, "192.0.2.2": False}
    box.configure("shared_address_users = 3;")
    assert notes() == {"192.0.2.1": True, "192.0.2.2": False}
    assert notes() == {r["client"]: r["shared"] for r in jsons(
        box.out("list", "--json", "--sort", "user", "--reverse"))}
    assert box.out("list").count("shared by 4 users") == 4
    assert "relaying" in box.out("check", *ask)
    assert "shared by too many users" in box.out("check", *ask)
    assert "share it" in box.out("why", "192.0.2.1")
    assert "share it" not in box.out("why", "192.0.2.2")
    assert "192.0.2.1\t" in box.out("export", "--format", "access")
    box.configure('shared_address_users = 3; shared_address = "refuse";')
    assert box.out("list").count("shared by 4 users: refused") == 4
    out = box.out("check", *ask)
    assert "(shared-address, row 6)" in out
    assert "550 5.7.1 Relaying denied for 192.0.2.1: too many" in out
    answer, = jsons(box.out("why", "--json", "192.0.2.1"))
    assert answer["shared"] is True
    assert "may not relay now" in box.out("why", "192.0.2.1")
    for form in ("access", "cidr", "makemap", "relayhosts",
                 "relayhostsusers"):
        out = box.out("export", "--format", form)
        assert "192.0.2.2" in out and "192.0.2.1" not in out, form
    assert len(jsons(box.out("export", "--format", "json"))) == 7
    # the admin's word
    box.out("add", "192.0.2.1")
    assert "recent-login" in box.out("check", *ask)
    assert "192.0.2.1\t" in box.out("export", "--format", "access")


def test_list_limit_keeps_the_newest(box):
    box.fill_logins([("192.0.2.%d" % i, "u%d" % (i % 3), -60, 100 + i)
                     for i in range(1, 31)] +
                    [("198.51.100.1", "old", -7200, -5400)])
    first = [row.split()[0] for row in lines(box.out(
        "list", "--limit", "3"))[1:]]
    assert first == ["192.0.2.28", "192.0.2.29", "192.0.2.30"]
    assert "more than these 3" in box.run("list", "--limit", "3").stderr
    for args, want in (
            (["--user", "u1", "--limit", "2"], ["192.0.2.25", "192.0.2.28"]),
            (["--client", "192.0.2.0/28", "--limit", "2"],
             ["192.0.2.14", "192.0.2.15"]),
            (["--all", "--limit", "1"], ["192.0.2.30"]),
            (["--expired", "--limit", "1"], ["198.51.100.1"]),
            (["--sort", "expires", "--limit", "2"],
             ["192.0.2.1", "192.0.2.2"]),
            (["--sort", "expires", "--reverse", "--limit", "2"],
             ["192.0.2.30", "192.0.2.29"])):
        got = [r["client"] for r in jsons(box.out("list", "--json", *args))]
        assert got == want, args
    done = box.run("list", "--limit", "30")
    assert len(lines(done.stdout)) == 31 and done.stderr == ""
    assert len(jsons(box.out("list", "--json"))) == 30
    box.err("list", "--limit", "x", code=EX_USAGE)


def test_list_more_than_people_read(box):
    """A thousand lines, of however many; programs get all."""
    box.fill_logins([("10.0.%d.%d" % (i >> 8, i & 255), "u", -60, 100 + i)
                     for i in range(4000)])
    done = box.run("list")
    assert len(lines(done.stdout)) == 1001
    assert "10.0.15.159 " in done.stdout and "10.0.0.0 " not in done.stdout
    assert "more than these 1000" in done.stderr
    assert len(lines(box.out("list", "--limit", "0"))) == 4001
    assert len(jsons(box.out("list", "--json"))) == 4000
    assert len(lines(box.out("list", "--ticks"))) == 4000
    assert len(lines(box.out("list", "--sort", "client"))) == 1001


def test_list_fits_a_terminal(box):
    box.fill_logins([("198.51.100.101", "firstname", -90000, 1560),
                     ("192.0.2.1", "bob", -9000, -7200)])
    for args in (["list", "--all"], ["why", "198.51.100.101", "--events", "0"]):
        table = [line for line in lines(box.out(*args))
                 if "LAST LOGIN" in line or "  dovecot " in line]
        assert len(table) >= 2 and max(map(len, table)) <= 80, table
    assert "SINCE" not in box.out("list")
    assert "SINCE" in lines(box.out("list", "--wide"))[0]
