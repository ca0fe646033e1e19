# SPDX-License-Identifier: ISC
"""Three machines that share one gate, at work for hours: two of Postfix, one of
Sendmail. An observer in each knows only what it did from outside, and compares
it with every answer, with the tables and with what got out.

POPGATE_SOAK: for how many seconds (default four hours); POPGATE_SOAK_PAUSE: so
many seconds between two sessions of a machine (default none); POPGATE_SEED."""
import collections
import gzip
import itertools
import os
import pathlib
import random
import socket
import statistics
import syslog
import time

import pytest

from lab import client, fleet
from lab.process import tail, wait_for
from lab.site import PASSWORD

SECONDS = int(os.environ.get("POPGATE_SOAK", str(4 * 3600)))
PAUSE = float(os.environ.get("POPGATE_SOAK_PAUSE", "0"))
SEED = int(os.environ.get("POPGATE_SEED", "1"))
SLICE_S = 30
WINDOW_S = 300
# an answer near the end of a login may be either
NEAR_S = 5
# so much of the time at the beginning isn't judged, and so much memory may be
# gained after it
WARM_UP, GROWTH = 0.25, 1.01
# how long both MTAs wait for a command at least, however busy they are
MTA_WAITS_S = 120
USERS = "alice", "bob"
PROGRAMS = {"popgate-milter": "milter", "popgate-collect": "collector"}


class Observer:
    """What a machine does besides, and what its observer has seen. All that
    isn't as promised is a line of self.wrong."""

    def __init__(self, *words):
        self.wrong, self.counts = [], collections.Counter()
        self.logged, self.lines = {}, collections.Counter()
        self.asked, self.arriving = {}, set()
        self.open, self.delays = [], []
        self.last_row = self.last_event = self.rotated = 0
        super().__init__(*words)
        self.chance = random.Random(SEED * 10 + self.number)
        # own clients, which no other machine uses, and strangers
        self.clients = self.addresses(64 * (self.number - 1), 48)
        self.strangers = self.addresses(64 * (self.number - 1) + 48, 16)

    @staticmethod
    def addresses(first, n):
        """10.9.first.1 and so on, again and again."""
        return itertools.cycle(
            f"10.9.{first + i}.{j}" for i in range(n) for j in range(1, 255))

    def make_popgate(self):
        popgate = super().make_popgate()
        popgate.settings.update(
            window=f"{WINDOW_S}s", logins='keep = "20m";',
            audit='keep = "20m"; max_size = "64M";',
            # two users have all the clients of these hours
            limits='user_clients = "1000000/1h"; user_messages = "1000000/1h";'
                   ' user_recipients = "1000000/1h";')
        popgate.configure()
        return popgate

    # --- what clients do ---

    def expect(self, truth, what):
        if not truth:
            self.wrong.append(f"{self.name}: {what}")

    def asks(self, address, want, n=1):
        """A message to n recipients elsewhere: want, "accept" or "reject"."""
        to = [f"{client.new_token()}@elsewhere.test" for _ in range(n)]
        sent = self.send(address, *to)
        self.judge(address, want, to, sent.rcpt, sent.data)

    def judge(self, address, want, to, replies, data):
        self.counts["sessions"] += 1
        code = 250 if want == "accept" else 550
        for name, reply in zip(to, replies):
            self.expect(reply.code == code,
                        f"{address} wants {want} and got {reply}")
            if reply.code == 250 and data is not None and data.code == 250:
                self.asked[name] = address, "accept"
                self.arriving.add(name)
                self.counts["relayed"] += 1
            elif reply.code == 550:
                self.asked[name] = address, "reject"
                self.counts["refused"] += 1
        if want == "accept":
            self.expect(data is not None and data.code == 250,
                        f"{address}: DATA got {data}")

    def stranger(self):
        self.asks(next(self.strangers), "reject", self.chance.choice((1, 1, 3)))

    def own_mail(self):
        sent = self.send(next(self.strangers), fleet.OWN)
        self.counts["sessions"] += 1
        self.counts["own"] += 1
        self.expect(sent.data is not None and sent.data.code == 250,
                    f"own mail got {sent}")

    def logs_in(self, address):
        """A login at the real server; from now on the client may relay."""
        how, server = self.chance.choice((
            (client.imap_login, self.site.imap),
            (client.pop3_login, self.site.pop3)))
        self.expect(how(server, address, self.chance.choice(USERS), PASSWORD),
                    f"{address} isn't let in by the POP or IMAP server")
        began = time.monotonic()
        self.logged[address] = time.time()
        self.lines[address] += 1
        self.counts["logins"] += 1
        wait_for(lambda: self.learnt(address), f"the login of {address}")
        self.delays.append(time.monotonic() - began)

    def learnt(self, address):
        return self.rows("SELECT 1 FROM login WHERE client = "
                         f"'{address}' AND expires_at > unixepoch()")

    def traveller(self):
        address = next(self.clients)
        self.logs_in(address)
        self.asks(address, "accept", self.chance.choice((1, 1, 1, 4)))

    def wrong_password(self):
        address = next(self.strangers)
        name = self.chance.choice(("alice", f"x, rip={address}", "a>, rip=1.1"))
        self.expect(not client.imap_login(self.site.imap, address, name, "no"),
                    "a wrong password is good")
        self.asks(address, "reject")

    def somebody(self):
        """One who has logged in before: within the window or not."""
        if not self.logged:
            return
        address = self.chance.choice(list(self.logged))
        age = time.time() - self.logged[address]
        if age < WINDOW_S - NEAR_S:
            self.asks(address, "accept")
        elif age > WINDOW_S + NEAR_S:
            self.asks(address, "reject")
            del self.logged[address]

    def crowd(self):
        """Many at once, who only check their mail."""
        # said as Dovecot says it, to the site's own syslog daemon
        syslog.openlog("dovecot", 0, syslog.LOG_MAIL)
        for _ in range(50):
            address = next(self.clients)
            syslog.syslog(syslog.LOG_INFO, "imap-login: Login: user=<alice>, "
                          f"method=PLAIN, rip={address}, lip=192.0.2.1, "
                          "mpid=7, session=<x>")
            self.lines[address] += 1
            self.counts["logins"] += 1
        syslog.closelog()

    def given_up(self):
        """In the middle of a message; without a word."""
        address = next(iter(self.logged), None) or next(self.strangers)
        with self.smtp(address) as smtp:
            smtp.mail("sender@elsewhere.test")
            smtp.rcpt(f"{client.new_token()}@elsewhere.test")
        self.counts["sessions"] += 1

    def patient(self):
        """A session that stays open, over reloads and rotations."""
        if len(self.open) < 3:
            address = next(self.strangers)
            self.open.append((address, self.smtp(address), time.monotonic()))
            return
        address, smtp, began = self.open.pop(0)
        if time.monotonic() - began > MTA_WAITS_S:
            smtp.close()        # the MTA has hung up, or is about to
            return
        to = f"{client.new_token()}@elsewhere.test"
        mail = smtp.mail("sender@elsewhere.test")
        self.expect(mail.code == 250, f"{address}: after "
                    f"{time.monotonic() - began:.0f} s MAIL got {mail}")
        self.judge(address, "reject", [to], [smtp.rcpt(to)], None)
        smtp.close()

    def noise(self):
        """On the sockets of the permit channel."""
        for name in ("policy", "socketmap"):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(self.site.sockets / f"{name}.sock"))
                s.sendall(self.chance.randbytes(200) + b"\n\n")

    # --- what the admin does ---

    def denies(self):
        if not self.logged:
            return
        address = self.chance.choice(list(self.logged))
        if time.time() - self.logged[address] > WINDOW_S - 60:
            return
        self.ctl("deny", address)
        wait_for(lambda: self.rows("SELECT 1 FROM deny WHERE subject = "
                                   f"'{address}'"))
        self.asks(address, "reject")
        self.ctl("undeny", address)
        if self.chance.random() < 0.5 and self.learnt(address):
            self.ctl("delete", address)
            del self.logged[address]
            self.asks(address, "reject")
        elif time.time() - self.logged[address] < WINDOW_S - NEAR_S:
            self.asks(address, "accept")

    def rotates(self):
        """As logrotate does: renamed, told, the one before packed."""
        log = self.site.mail_log
        for n in (3, 2, 1):
            old = log.with_name(f"{log.name}.{n}")
            for path in (old, log.with_name(f"{old.name}.gz")):
                if path.exists() and n == 3:
                    path.unlink()
                elif path.exists():
                    path.rename(str(path).replace(f".{n}", f".{n + 1}"))
        second = log.with_name(f"{log.name}.2")
        if second.exists():
            packed = log.with_name(f"{second.name}.gz")
            packed.write_bytes(gzip.compress(second.read_bytes()))
            second.unlink()
        self.rsyslog.rename(".1")
        self.rsyslog.reopen()
        self.counts["rotations"] += 1

    def reloads(self):
        self.ctl("reload")
        self.counts["reloads"] += 1

    def reads(self):
        some = next(iter(self.logged), "10.9.0.1")
        self.ctl(*self.chance.choice((
            ("report", "--html", "/run/lab/report.html", "--since", "1h"),
            ("report", "--json"), ("list", "--json"), ("why", some),
            ("decisions", "--json"), ("stats",), ("top",), ("dependents",))))
        self.counts["reports"] += 1

    def imports(self):
        """Another program's table; and out again."""
        address = next(self.clients)
        table = self.site.root / "etc/table"
        table.write_text(f"{address}\t{int(time.time())}\n")
        self.ctl("import", "--format", "text", str(table))
        self.logged[address] = time.time()
        self.asks(address, "accept")
        self.expect(address in self.ctl("export", "--format", "csv"),
                    f"{address} is imported and not exported")
        self.counts["imports"] += 1

    ACTIONS = ((stranger, 10), (own_mail, 10), (traveller, 10), (somebody, 10),
               (wrong_password, 3), (given_up, 3), (patient, 3), (noise, 1),
               (crowd, 1), (denies, 1), (rotates, 0.3), (reloads, 0.5),
               (reads, 0.5), (imports, 0.5))

    def work(self, seconds):
        """A while of all that; then compare. What was seen in all."""
        end = time.monotonic() + seconds
        actions, weights = zip(*self.ACTIONS)
        while time.monotonic() < end:
            self.chance.choices(actions, weights)[0](self)
            time.sleep(PAUSE)
        self.compare()
        wrong, self.wrong = self.wrong, []
        if wrong:
            wrong += [tail(path, 20) for path in self.site.log.iterdir()]
        delays, self.delays = self.delays, []
        return wrong, dict(self.counts), self.resources(), delays

    # --- what the tables and the world say of it ---

    def compare(self):
        self.rows_of_answers()
        self.events_of_logins()
        self.what_got_out()

    def rows_of_answers(self):
        """Each answer has a row that says so, and none that says otherwise."""
        found = collections.defaultdict(set)

        def all_there():
            for row, at, to, verdict in self.rows(
                    "SELECT id, client, recipient, verdict FROM "
                    f"channel_decision WHERE id > {self.last_row} ORDER BY id",
                    "audit.db"):
                self.last_row = row
                found[to.strip("<>")].add((at, verdict))
            return all(self.asked[to] in found[to] for to in self.asked)
        wait_for(all_there, lambda: "rows of " + str(
            [to for to in self.asked if self.asked[to] not in found[to]]))
        for to, (address, verdict) in self.asked.items():
            self.expect(verdict == "accept" or
                        (address, "accept") not in found[to],
                        f"{to} of {address} was refused, and the audit says "
                        "it was accepted")
        self.counts["rows"] += sum(map(len, found.values()))
        self.asked.clear()

    def events_of_logins(self):
        """Each login once, and nobody else's."""
        mine = {f"10.9.{64 * (self.number - 1) + i}" for i in range(64)}
        found = collections.Counter()

        def all_there():
            for row, address in self.rows(
                    "SELECT id, client FROM login_event WHERE source <> "
                    f"'popgatectl' AND id > {self.last_event} ORDER BY id"):
                self.last_event = row
                if address.rpartition(".")[0] in mine:
                    found[address] += 1
            return all(found[a] >= n for a, n in self.lines.items())
        wait_for(all_there, lambda: f"logins of {self.lines - found}")
        self.expect(found == self.lines, "logins that nobody made, or twice: "
                    f"{found - self.lines}")
        self.lines.clear()

    def what_got_out(self):
        """All that was accepted, each once, and nothing else."""
        wait_for(lambda: not self.mta.queue(), "an empty queue")
        out = collections.Counter()

        def arrived():
            out.clear()
            for to, _ in self.world.messages():
                out.update(to)
            return all(out[to] for to in self.arriving)
        wait_for(arrived, lambda: f"mail to {self.arriving - set(out)}")
        self.expect(set(out) == self.arriving,
                    f"got out: {set(out) - self.arriving}")
        self.expect(all(n == 1 for n in out.values()),
                    f"got out twice: {[to for to in out if out[to] > 1]}")
        self.arriving.clear()
        for path in self.world.directory.iterdir():
            path.unlink()

    def resources(self):
        """{program: (KB of its own, open files, threads)}, when it is quiet."""
        seen = {}
        for proc in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                status = dict(line.split(":\t", 1) for line in
                              (proc / "status").read_text().splitlines())
                name = PROGRAMS.get(status["Name"])
                if name:
                    seen[name] = (int(status["RssAnon"].split()[0]),
                                  len(os.listdir(proc / "fd")),
                                  int(status["Threads"]))
            except (FileNotFoundError, ProcessLookupError):
                pass
        self.expect(set(seen) == set(PROGRAMS.values()), f"only {seen} is there")
        return seen


class A(Observer, fleet.A):
    pass


class B(Observer, fleet.B):
    pass


class C(Observer, fleet.C):
    pass


class Soaked(fleet.Fleet):
    machines = A, B, C

    def agreed(self):
        """One table, but for what is imported and what has ended."""
        one, *others = [
            [row for row in table if not row[4] and row[3] > time.time()]
            for table in self.tables()]
        return others == [one, one]


@pytest.fixture
def gate():
    gate = Soaked()
    try:
        yield gate
    finally:
        gate.close()


def tell(began, totals, delays, series):
    """For whoever reads along, and at the end."""
    print(f"\n{time.monotonic() - began:.0f} s: " +
          ", ".join(f"{n} {name}" for name, n in sorted(totals.items())))
    if delays:
        print(f"a login is learnt after {statistics.median(delays) * 1000:.0f} "
              f"ms (median), {max(delays) * 1000:.0f} ms at most")
    for name, seen in sorted(series.items()):
        memory, files, threads = zip(*seen)
        print(f"{name:14} {memory[0]:6} KB at first, {memory[-1]} now, "
              f"{max(memory)} at most; {min(files)} to {max(files)} files; "
              f"{min(threads)} to {max(threads)} threads", flush=True)


def test_soak(gate):
    began, series = time.monotonic(), collections.defaultdict(list)
    delays = []
    while time.monotonic() - began < SECONDS:
        totals = collections.Counter()
        for member, (wrong, counts, resources, learnt) in zip(
                "abc", gate.tell("work", SLICE_S)):
            assert not wrong, "\n".join(wrong[:50])
            totals.update(counts)
            delays += learnt
            for name, seen in resources.items():
                series[f"{member} {name}"].append(seen)
        wait_for(gate.agreed, gate.state)
        totals["slices"] = len(series["a milter"])
        tell(began, totals, delays, series)
    for name, seen in series.items():
        steady = seen[int(len(seen) * WARM_UP):]
        tenth = max(1, len(steady) // 10)
        for what, place in (("memory", 0), ("files", 1), ("threads", 2)):
            first = min(row[place] for row in steady[:tenth])
            last = min(row[place] for row in steady[-tenth:])
            assert last <= first * (GROWTH if what == "memory" else 1), \
                f"{name}: {what} grew from {first} to {last}"
