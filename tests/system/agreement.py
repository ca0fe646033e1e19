# SPDX-License-Identifier: ISC
"""Does popgatectl say what a client then gets? Random situations on a lab that
is running: tables, rules, a session and a recipient. `check` and `why` are
asked, then the client does it.

POPGATE_SITUATIONS is how many (per wiring), POPGATE_SEED where to begin.
"""
import json
import os
import random
import sqlite3
import time

from lab.process import wait_for

SITUATIONS = int(os.environ.get("POPGATE_SITUATIONS", "32"))
SEED = int(os.environ.get("POPGATE_SEED", "1"))

RULES = [
    {},
    {"relay": 'sender_binding = "address"; null_sender = "reject"; '
              'sender_addresses = [ "append:lab.test" ];'},
    {"relay": 'shared_address = "refuse"; shared_address_users = 1;'},
    {"limits": 'client_recipients = "2/1h"; user_recipients = "6/1h";'},
    {"relay": 'mode = "monitor";'},
    {"trusted": '"203.0.113.0/25"'},
    {"never": '"127.0.0.0/8", "::1", "203.0.113.0/25"'},
    {"relay": 'ipv6_prefix = 64;'},
]
SENDERS = ["alice@lab.test", "bob@lab.test", "x@elsewhere.test", ""]
RECIPIENTS = ["user@remote.test"] * 4 + [
    "alice@lab.test", "ALICE@Lab.Test", "user%remote.test@lab.test",
    "@lab.test:user@remote.test", "user@lab.test@remote.test"]
CODES = {"accept": (2,), "reject": (5,), "tempfail": (4,)}


class Agreement:
    def __init__(self, lab, seed):
        self.lab = lab
        self.seed = seed
        self.random = random.Random(seed)
        self.clients = [lab.stranger(family) for family in (4, 6) * 5]
        self.differ = []       # the tables alone would have been wrong
        self.seen = {}
        self.wrong = []

    # --- the situation ---

    def write_login(self, client, user, age, left):
        """A login of the past, as if the collector had read it then."""
        self.lab.popgate.ctl("add", client, "--user", user)
        now = int(time.time())
        db = sqlite3.connect(self.lab.popgate.data / "logins.db", timeout=60)
        with db:
            db.execute("UPDATE login SET first_at = min(first_at, ?), "
                       "last_at = ?, expires_at = ? WHERE user = ? AND "
                       "(client = ? OR client LIKE '%/64')",
                       (now - age, now - age, now + left, user, client))
        db.close()

    def change_tables(self, client):
        ctl, user = self.lab.popgate.ctl, self.random.choice(["alice", "bob"])
        what = self.random.randrange(12)
        if what >= 7:       # or nearly all would be denied in the end
            for subject in ([client], ["--user", "alice"], ["--user", "bob"],
                            ["--user", "carol"]):
                ctl("undeny", *subject, check=False)
            what -= 7
        if what < 3:
            self.write_login(client, user, 60, 1000)
        elif what == 3:
            self.write_login(client, user, 9000, -7000)
        elif what == 4:
            ctl("delete", client, check=False)
        elif what == 5:
            ctl("deny", client)
        else:
            ctl("deny", "--user", self.random.choice([user, "carol"]))
        return what

    # --- asking, and doing ---

    def one(self, rules):
        client = self.random.choice(self.clients)
        what = self.change_tables(client)
        auth = self.random.random() < 0.2
        sender = self.random.choice(SENDERS)
        to = self.random.choice(RECIPIENTS)
        ctl = self.lab.popgate.ctl
        words = ["check", "--client", client, "--from", sender, "--to", to,
                 *(["--auth", "carol"] if auth else [])]
        check = json.loads(ctl(*words, "--json"))
        code = ctl(*words, "--exit-code", check=False).returncode
        why = json.loads(ctl("why", client, "--json"))
        with self.lab.smtp(client) as smtp:
            if auth:
                assert smtp.auth_plain("carol", "secret").code == 235
            smtp.mail(sender)
            got = smtp.rcpt(to)
        # what was given up is given back to the limits
        wait_for(lambda: self.lab.popgate.health()["sessions"] == 0,
                 "the session's end")
        said = check["daemon"].get("verdict")
        if said != check["verdict"]:
            self.differ.append((check["reason"], check["daemon"]["reason"],
                                rules))
        name = (check["daemon"].get("reason"), said)
        self.seen[name] = self.seen.get(name, 0) + 1
        wanted = CODES.get(said, ())
        if not check["enforced"] and check["class"] != "local":
            wanted = (2, 5)     # the MTA's own business
        agree = (got.code // 100 in wanted and
                 code == {"accept": 0, "reject": 1, "tempfail": 75}[said])
        # why asks for no recipient or sender in particular, without AUTH
        if (check["enforced"] and check["class"] == "relay" and not auth and
                got.code == 250):
            agree = agree and why["may_relay"]
        if (check["enforced"] and not why["may_relay"] and not auth and
                check["class"] == "relay"):
            agree = agree and got.code != 250
        if not agree:
            self.wrong.append({
                "rules": rules, "client": client, "change": what,
                "auth": auth, "sender": sender, "to": to, "got": str(got),
                "exit": code, "check": {k: check[k] for k in
                                        ("verdict", "reason", "daemon")},
                "why": [why["may_relay"], why["reason"], why["daemon"]]})

    def run(self, n):
        share = -(-n // len(RULES))
        for rules in RULES:
            with self.lab.rules(**rules):
                for _ in range(share):
                    self.one(rules)
        for user in ("alice", "bob", "carol"):
            self.lab.popgate.ctl("undeny", "--user", user, check=False)
        print(f"seed {self.seed}: {share * len(RULES)} situations, "
              f"{len(self.wrong)} wrong; {self.seen}; the tables alone would "
              f"have been wrong in {len(self.differ)}: {self.differ}")
        assert not self.wrong, (self.seed, self.wrong[:5])
        # situations that show something
        reasons = {reason for reason, _ in self.seen}
        assert {"local-recipient", "recent-login", "denied",
                "authenticated"} <= reasons, self.seen
