# SPDX-License-Identifier: ISC
"""popgatectl report: its numbers are those of stats and dependents, as JSON and
on the page; names that clients choose change nothing; the mail is one."""
import email
import email.policy
import html.parser
import time

import pytest

from lab.box import EX_NOINPUT, EX_TEMPFAIL, EX_USAGE, jsons

SUMS = ("recipients", "accepted", "aborted", "rejected", "tempfailed",
        "would_refuse")
VOID = {"meta", "img", "br", "link", "input"}

# each of the right length to be cut somewhere, or of the wrong kind
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=y>',
           "</td></tr></table></section><h1>", "evil\u202e\u2066\u200bname",
           "x" * 10000, "\x1b[31m\x07", "&lt;b&gt;", "a\x00b"]


def rows(name=lambda text: text):
    """Some of everything, the oldest first; name() makes a name of one."""
    return sorted(some(name), key=lambda row: row.get("at", -10))


def some(name):
    hour = 3600
    alice, bob, eve = name("alice"), name("bob"), name("eve")
    yield from ({"at": -n * hour - 60, "client": "192.0.2.1",
                 "login_user": alice, "sender": f"s{n}@example.com"}
                for n in range(40))
    yield from ({"at": -n * 7 * hour, "client": f"192.0.2.{n}",
                 "auth_user": bob, "reason": "authenticated"}
                for n in range(2, 12))
    yield from ({"at": -n * hour, "client": "203.0.113.9", "helo": eve,
                 "sender": f"{eve}@{n}.test", "verdict": verdict,
                 "reason": reason} for n in range(20) for verdict, reason in (
                     ("reject", "no-login"), ("reject", "denied"),
                     ("tempfail", "store-unavailable"),
                     ("would-reject", "login-expired")))
    yield {"client": "192.0.2.2", "login_user": bob, "reply": "aborted"}
    yield {"client": "192.0.2.77", "login_user": "alice,bob"}
    yield {"client": "192.0.2.78", "reason": "certificate"}
    yield {"at": -30 * 86400, "client": "192.0.2.1", "login_user": alice}
    yield {"at": -30 * 86400, "client": "192.0.2.3", "login_user": bob}


class Page(html.parser.HTMLParser):
    """A page's tags, texts by id, and the rows of its tables by section."""

    def __init__(self, text):
        super().__init__()
        self.shape, self.open, self.ids = [], [], {}
        self.section, self.tables, self.named = None, {}, None
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.shape.append((tag, sorted(attrs)))
        # nothing runs, and nothing is loaded
        assert tag not in ("script", "iframe", "img", "link", "object")
        assert not any(key.startswith("on") for key in attrs)
        assert "src" not in attrs and attrs.get("href", "#")[0] == "#"
        if tag not in VOID and tag not in ("path", "rect"):
            self.open.append(tag)
        if "id" in attrs:
            assert attrs["id"] not in self.ids
            self.ids[attrs["id"]] = ""
            self.named = attrs["id"]
        if tag == "section":
            self.section = self.tables.setdefault(attrs["id"], [])
        if tag == "tr":
            self.section.append([])
        if tag in ("th", "td"):
            self.section[-1].append("")
        if tag == "data":
            self.value = attrs["value"]

    def handle_endtag(self, tag):
        if tag not in ("path", "rect"):
            assert self.open.pop() == tag

    def handle_data(self, data):
        assert "\u202e" not in data and "\x1b" not in data
        if "data" in self.open:
            assert data.replace(",", "") == self.value
            data = self.value
        if self.named:
            self.ids[self.named] += data
        if "td" in self.open or "th" in self.open:
            self.section[-1][-1] += data


@pytest.fixture
def period(box):
    """The box has rows() and more; the period as options."""
    box.fill_audit(rows())
    with box.sql(box.audit, "audit") as db:
        # repeats that were only counted; the other channel's row of one
        db.execute("UPDATE channel_decision SET count = 7, last_at = at + 999 "
                   "WHERE id IN (60, 61)")
        db.execute("UPDATE channel_decision SET count = 0 WHERE id = 5")
        # the walk goes on in another part of the ids
        db.execute("UPDATE channel_decision SET id = id + 25000 WHERE id > 70")
        db.execute("INSERT INTO tally VALUES (?, 'milter', "
                   "'local-recipient', 12)", (int(time.time()) // 3600 * 3600,))
    db.close()
    box.breach("client", "192.0.2.1")
    box.breach("user", "mallory", until=0)
    now = int(time.time()) + 1
    return ["--since", f"@{now - 7 * 86400}", "--until", f"@{now}"]


def stats(box, by, period):
    return {row[by]: row for row in
            jsons(box.out("stats", "--json", "--by", by, *period))}


def sums(row):
    return {key: row[key] for key in SUMS}


def report(box, *args):
    return jsons(box.out("report", "--json", *args))[0]


@pytest.mark.parametrize("back", [0, 86400])
def test_numbers_are_those_of_stats(box, period, back):
    by = "day"
    if back:        # a day: by hour
        until = int(period[3][1:])
        period, by = ["--since", f"@{until - back}", "--until",
                      f"@{until}"], "hour"
    told = report(box, *period)
    want = stats(box, by, period)
    slots = {slot[by]: slot for slot in told[by + "s"]}
    assert want.keys() <= slots.keys() and len(slots) >= (8 if by == "day" else 24)
    for key, slot in slots.items():
        assert sums(slot) == (sums(want[key]) if key in want else
                              dict.fromkeys(SUMS, 0))
        assert sum(slot["refused"].values()) == (
            slot["recipients"] - slot["accepted"] - slot["aborted"])
    hours = dict.fromkeys((f"{n:02}:00" for n in range(24)), None)
    if by == "day":
        assert [row["hour"] for row in told["hours_of_day"]] == list(hours)
        for key, row in stats(box, "hour", period).items():
            hours[key[-5:]] = {
                name: row[name] + (hours[key[-5:]] or {}).get(name, 0)
                for name in SUMS}
        for row in told["hours_of_day"]:
            assert sums(row) == (hours[row["hour"]] or
                                 dict.fromkeys(SUMS, 0)), row
    else:
        assert told["hours_of_day"] == []
    assert sums(told["relays"]) == {
        key: sum(row[key] for row in want.values()) for key in SUMS}
    want = stats(box, "reason", period)
    assert {r["reason"]: sums(r) for r in told["reasons"]} == {
        key: sums(row) for key, row in want.items()}
    for kind, others in (("client", "users"), ("user", "clients")):
        want = stats(box, kind, period)
        got = {row[kind]: row for row in told[kind + "s"]["most"]}
        assert got.keys() == {key for key, row in want.items()
                              if row["accepted"]}
        assert told[kind + "s"]["all"] == len(got)
        for key, row in got.items():
            assert sums(row) == sums(want[key])
            for field in ("senders", others, "first_at", "last_at"):
                assert row[field] == want[key][field], (key, field)
    want = stats(box, "client", period)
    assert told["relays"]["clients_asked"] == len(want)
    assert [row["client"] for row in told["refused_clients"]["most"]] == [
        "203.0.113.9"]
    assert sums(told["refused_clients"]["most"][0]) == sums(
        want["203.0.113.9"])


def test_the_rest(box, period):
    told = report(box, *period)
    # 192.0.2.1 and .3 had been there
    assert {row["client"] for row in told["new_clients"]["most"]} == {
        row["client"] for row in told["clients"]["most"]} - {
            "192.0.2.1", "192.0.2.3"}
    assert [(row["client"], row["by_several"], row["several"])
            for row in told["shared_clients"]["most"]] == [
                ("192.0.2.77", 1, 2)]
    users = jsons(box.out("dependents", "--json", *period[:2]))
    assert [(row["user"], row["recipients"]) for row in
            told["depend"]["most"]] == [
                (row["user"], row["recipients"]) for row in users
                if row["state"] == "depends" and row["recipients"]] != []
    assert told["weeks"][-1]["by_login"] >= 0 and len(told["weeks"]) >= 5
    assert told["limits"]["all"] == 2
    assert {row["subject"] for row in told["limits"]["newest"]} == {
        "192.0.2.1", "mallory"}
    assert [row["subject"] for row in told["denials"]["now"]] == ["192.0.2.1"]
    assert told["relays"]["local"] == 12
    assert told["zone"] == "UTC (UTC+00:00)"
    assert {row["what"] for row in told["state"]} >= {
        "popgate-milter", "popgate-collector"}
    assert report(box)["relays"] == told["relays"]      # 7d by default


def test_page_says_the_same(box, period):
    told = report(box, *period)
    path = box.path / "report.html"
    assert box.out("report", "--html", path, *period) == ""
    text = path.read_text()
    page = Page(text)
    for key in ("accepted", "rejected", "tempfailed", "aborted",
                "would_refuse", "local"):
        assert page.ids["n-" + key].startswith(str(told["relays"][key]))
    assert page.tables["time"][1:] == [
        [row[key] for key in order] for row in (
            {k: str(v) for k, v in {**slot, "begin": slot["day"]}.items()}
            for slot in [*told["days"], {**told["relays"], "day": "All"}])
        for order in [("begin", "recipients", "accepted", "rejected",
                       "tempfailed", "aborted", "would_refuse")]]
    assert page.tables["clock"][1:] == [
        [row["hour"]] + [str(row[key]) for key in (
            "recipients", "accepted", "rejected", "tempfailed", "aborted",
            "would_refuse")] for row in told["hours_of_day"]]
    for kind in ("client", "user"):
        assert [[row[0], row[2]] for row in page.tables[kind + "s"][1:]] == [
            [row[kind], str(row["accepted"])]
            for row in told[kind + "s"]["most"]]
    assert [row[2] for row in page.tables["rights"][1:]] == [
        str(row["recipients"]) for row in told["reasons"]]
    assert "UTC (UTC+00:00)" in text
    assert "https:" not in text and "http:" not in text and "url(" not in text
    assert box.out("report", "--html", "-", *period).count("<section") == \
        text.count("<section")


def test_hostile_names_change_nothing(box):
    def shape(name):
        box.audit.unlink(missing_ok=True)
        box.fill_audit(rows(lambda text: text[0] + name))
        box.breach("user", name)
        text = box.out("report")
        assert "Clients that relayed most" in text
        return [tag for tag in Page(box.out("report", "--html", "-")).shape
                if tag[0] not in ("data", "time")]
    want = shape("eve")
    for name in HOSTILE:
        assert shape(name) == want, name[:40]
    # no UTF-8 at all
    with box.sql(box.audit, "audit") as db:
        db.execute("UPDATE channel_decision SET login_user = "
                   "CAST(x'3cff80e2803c' AS TEXT), sender = "
                   "CAST(x'c328a0a1' AS TEXT) WHERE login_user IS NOT NULL")
    db.close()
    page = Page(box.out("report", "--html", "-"))
    assert page.tables["users"][1][0] == "<\\xff\\x80\\xe2\\x80<"


SENDMAIL = """#!/bin/sh
printf '%s\\n' "$@" > {path}/argv
cat > {path}/mail
echo 'mailbox busy' >&2
exit {code}
"""


def sendmail(box, code):
    path = box.path / "sendmail"
    path.write_text(SENDMAIL.format(path=box.path, code=code))
    path.chmod(0o755)
    return {"PATH": f"{box.path}:/usr/bin:/bin", "TZ": "UTC",
            "LC_ALL": "C.UTF-8"}


def test_mail(box, period):
    env = sendmail(box, 0)
    assert box.out("report", "--mail", *period, env=env) == ""
    assert (box.path / "argv").read_text().split() == ["-i", "--", "root"]
    raw = (box.path / "mail").read_bytes()
    assert raw.isascii() and max(map(len, raw.split(b"\n"))) < 79
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert not mail.defects and mail["To"] == "root"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime and mail["Message-ID"].startswith("<popgate.")
    assert mail["Subject"].startswith("popgate on ")
    assert mail.get_content_type() == "multipart/alternative"
    text, page = mail.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert text.get_content().startswith("Who relayed through ")
    assert page.get_content_type() == "text/html"
    told = report(box, *period)["relays"]
    assert Page(page.get_content()).ids["n-accepted"].startswith(
        str(told["accepted"]))
    assert box.out("report", "--mail", "postmaster@example.org", env=env) == ""
    assert (box.path / "argv").read_text().split()[-1] == \
        "postmaster@example.org"


def test_mail_that_is_not_taken(box, period):
    said = box.err("report", "--mail", code=EX_TEMPFAIL,
                   env=sendmail(box, 75))
    assert "the mail to root was not taken" in said
    assert "mailbox busy" in said


def test_what_is_wrong(box, period):
    for args, words in (
            (["--mail", "-oQ/tmp"], "there is no option"),
            (["--mail", "a b"], "not an address"),
            (["--mail", "--", "-oQ/tmp"], "not an address"),
            (["root"], "only --mail takes an operand"),
            (["--json", "--html", "-"], "don't go together"),
            (["--html", ""], "expected the name of a file"),
            (["--since", "2h", "--until", "3h"], "is not before"),
            (["--since", "900d"], "398 days at most"),
            (["--since", "soon"], "soon")):
        assert words in box.err("report", *args, code=EX_USAGE), args
    said = box.err("report", "--html", box.path / "no" / "x", code=None)
    assert "No such file" in said
    box.audit.unlink()
    assert "there is no" in box.err("report", code=EX_NOINPUT)
