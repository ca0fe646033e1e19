# SPDX-License-Identifier: ISC
"""popgatectl add, delete, expire: what gets into the table by hand, and out of it."""
import subprocess
import time

import pytest

from lab.box import jsons


@pytest.mark.parametrize("typed,canonical", [
    ("192.0.2.1", "192.0.2.1"),
    ("[192.0.2.1]", "192.0.2.1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
    ("[IPv6:2001:db8::1]", "2001:db8::1"),
    ("2001:db8::1%eth0", "2001:db8::1"),
    ("10.0.0.0/8", "10.0.0.0/8"),
    ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ("2001:db8::/32", "2001:db8::/32"),
    ("192.0.2.1/32", "192.0.2.1"),
])
def test_add_and_delete_any_form(box, typed, canonical):
    assert box.out("add", typed).startswith(canonical + " may relay until ")
    assert [r["client"] for r in jsons(box.out("list", "--json"))] == [
        canonical]
    assert box.out("delete", typed).startswith(canonical + " deleted")
    assert "Nobody may relay" in box.out("list")
    assert "not in the table" in box.err("delete", typed, code=1)


def test_add_times(box):
    now = time.time()
    for args, seconds in ((["--for", "90s"], 90), (["--for", "7d"], 604800),
                          (["--until", "@%d" % (now + 500)], 500),
                          ([], 1800)):
        box.out("add", "192.0.2.1", *args)
        row = jsons(box.out("list", "--json"))[0]
        until = time.mktime(time.strptime(row["expires_at"][:19],
                                          "%Y-%m-%dT%H:%M:%S"))
        until -= time.timezone if row["expires_at"].endswith("+00:00") else 0
        assert abs(until - now - seconds) < 30, args
    box.out("add", "192.0.2.1", "--forever")
    row = jsons(box.out("list", "--json"))[0]
    assert row["forever"] is True and row["expires_at"] is None
    assert "for ever" in box.out("list")
    assert "without an end" in box.out("why", "192.0.2.1")


def test_added_network_lets_its_members_relay(box):
    box.out("add", "198.51.100.0/24", "--note", "the branch office")
    why = box.out("why", "198.51.100.77")
    assert "may relay until" in why and "198.51.100.0/24" in why
    assert "the branch office" in why
    assert "may not relay" in box.out("why", "198.51.101.1")
    # deleting the member is not enough, and that is said
    box.out("add", "198.51.100.77")
    assert "may still relay" in box.err("delete", "198.51.100.77", code=1)


def test_add_what_policy_never_looks_at(box):
    assert "row 6" in box.run("add", "127.0.0.1").stderr
    assert "no-client-identity" in box.out(
        "check", "--client", "127.0.0.1", "--to", "a@far.test")


def test_add_one_of_our_own_addresses(box):
    own = subprocess.run(["hostname", "-I"], capture_output=True,
                         text=True).stdout.split()
    if not own:
        pytest.skip("no address but loopback here")
    box.configure(relay='never_authorize = [ "own" ];')
    assert "row 6" in box.run("add", own[0]).stderr
    assert "this machine's own addresses" in box.out("why", own[0])


def test_expire(box):
    box.fill_logins([("192.0.2.1", "a", -100, 1000),
                     ("192.0.2.2", "b", -9000, -7200),
                     ("192.0.2.3", "c", -90000, -88200)])
    box.out("add", "192.0.2.4", "--forever")
    assert box.out("expire") == "2 entries deleted\n"
    assert len(jsons(box.out("list", "--all", "--json"))) == 2
    assert box.out("expire") == "0 entries deleted\n"
    # older than 1 minute: the login, not the admin's entry
    assert box.out("expire", "1") == "1 entry deleted\n"
    assert "192.0.2.4" in box.out("list")
