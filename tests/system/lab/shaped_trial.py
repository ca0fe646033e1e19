# SPDX-License-Identifier: ISC
"""One shape on trial: heard as it is, wired, heard again, popgate killed,
heard again, unwired.  What isn't as promised is a problem."""
import os
import pathlib
import re
import subprocess

from .popgate import BUILD
from .process import Failure, wait_for
from .shaped import DIRECTORY, FOREIGN, ShapeLab

CTL = BUILD / "popgatectl"

# said anew each time
CHANGING = re.compile(r"queued as \w+|\b[A-F0-9]{9,12}\b|session \w+")


class Trial:
    def __init__(self, shape):
        self.shape = shape
        self.problems = []
        self.words = {}         # question: what was said in each phase
        self.state = "not started"
        self.lab = None

    def run(self):
        self.lab = lab = ShapeLab(self.shape)
        self.files = self.snapshot()
        try:
            lab.start()
        except Failure as failure:
            self.words["fatal"] = str(failure)
            if self.shape.starts == "yes":
                self.problems.append(f"doesn't start: {failure}")
            return
        lab.discover()
        self.state = "started"
        self.questions = lab.questions()
        self.before = self.hear("before")
        lab.popgate.start_milter()
        lab.login(self.questions)
        if not self.wire():
            return
        self.state = "wired"
        self.judge_wired(self.hear("wired"))
        self.judge_again()
        lab.kill_popgate()
        self.judge_dead(self.hear("dead", at_once=32))
        self.unwire()

    def close(self):
        if self.lab:
            self.lab.close()

    def report(self):
        return {"name": self.shape.name, "state": self.state,
                "problems": self.problems, "words": self.words}

    def problem(self, heard, text):
        before = self.before_of(heard)
        self.problems.append(f"{heard.question}: {text}\n"
                             f"    heard {heard.answer} {heard.fate}\n"
                             f"    before {before.answer} {before.fate}")

    def hear(self, phase, at_once=4):
        heard = self.lab.hear(self.questions, at_once)
        for one in heard:
            self.words.setdefault(str(one.question), {})[phase] = \
                f"{one.answer} {one.fate}"
        return heard

    def before_of(self, heard):
        return self.before[self.questions.index(heard.question)]

    # --- popgate's wiring ---

    def by_setup(self):
        """By popgatectl setup, or by the commands that wiring prints?"""
        which = os.environ.get("POPGATE_SHAPES_SETUP")
        return which == "all" or which is None and self.shape.setup == "yes"

    def setup(self, *how):
        return subprocess.run(
            [CTL, "-c", self.lab.popgate.config, "setup", "--mta", "postfix",
             *how], capture_output=True, text=True)

    def wire(self):
        """False: popgatectl refused to, and says why."""
        if self.by_setup():
            done = self.setup("--apply", "--answer", "mynetworks=trust",
                              "--answer", "generated=edit")
            self.words["wiring"] = done.stdout
        else:
            done = subprocess.run(
                f"set -e; {CTL} -c {self.lab.popgate.config} wiring postfix "
                ">/run/wiring; sh -e /run/wiring", shell=True,
                capture_output=True, text=True)
            self.words["wiring"] = pathlib.Path("/run/wiring").read_text()
        if done.returncode != 0:
            self.state = "refused"
            said = done.stderr + done.stdout.partition("In the way:")[2]
            self.words["refusal"] = said
            if self.snapshot() != self.files:
                self.problems.append("refused, but files changed")
            if not self.shape.refuses or \
                    self.shape.refuses not in said:
                self.problems.append(f"not wired: {said}")
            return False
        if self.shape.refuses:
            self.problems.append("wired, though it should be refused")
        self.lab.reload()
        return True

    def snapshot(self):
        """All configuration, and who may read it, byte by byte."""
        found = {}
        for path in sorted([*DIRECTORY.parent.rglob("*"),
                            *self.lab.popgate.config.parent.rglob("*")]):
            if path.is_file() and not path.is_symlink():
                state = path.stat()
                found[path] = (path.read_bytes(), state.st_mode,
                               state.st_uid, state.st_gid)
        return found

    def judge_again(self):
        """A wiring of what is wired changes nothing."""
        if self.by_setup():
            return
        files = self.snapshot()
        subprocess.run(f"{CTL} -c {self.lab.popgate.config} wiring postfix "
                       "| sh -e", shell=True, capture_output=True)
        for path in changed(files, self.snapshot()):
            self.problems.append(f"wired twice: {path} changed")

    def unwire(self):
        """Byte by byte."""
        if not self.by_setup():
            return
        done = self.setup("--undo")
        if done.returncode != 0:
            self.problems.append(f"no undo: {done.stderr}")
        for path in changed(self.files, self.snapshot()):
            self.problems.append(f"undone, but {path} isn't as it was")

    # --- promises ---

    def judge_wired(self, heard):
        rows = self.rows(heard)
        for one in heard:
            kind = one.question.kind
            mine = rows.get(one.question.message.client, [])
            if kind == "stranger foreign":
                self.is_refused(one, mine)
            elif one.question.want:
                self.is_wanted(one)
            elif kind == "login foreign":
                self.relays(one, mine)
            elif kind == "auth foreign":
                self.auth_relays(one)
            elif kind == "local foreign" and one.question.service.back:
                if not one.answer.accepted:
                    self.problem(one, "no way back for what a filter saw")
            elif kind != "login own" or not one.answer.accepted:
                self.is_as_before(one)      # or a colleague is let through
            self.calls_are_as_before(one, heard)

    def judge_dead(self, heard):
        for one in heard:
            kind = one.question.kind
            if kind in ("stranger foreign", "login foreign"):
                if one.answer.code == 250:
                    self.problem(one, "relayed with popgate dead")
                elif kind == "login foreign" and one.answer.code >= 500 and \
                        self.before_of(one).answer.code // 100 == 5:
                    self.words["permanent"] = str(one.question.service)
            elif kind in ("stranger own", "stranger unknown", "login own",
                          "local own") and not self.is_softer(one):
                self.is_as_before(one, "popgate dead: ")

    def is_softer(self, one):
        """Refused for now in place of refused: on a list that refuses all
        whom it doesn't know, nobody can tell who has logged in."""
        return self.before_of(one).answer.code // 100 == 5 and \
            one.answer.code // 100 == 4

    def rows(self, heard):
        """The decisions on foreign recipients: {client: [row]}."""
        popgate = self.lab.popgate
        clients = {one.question.message.client for one in heard
                   if one.question.message.recipient == FOREIGN and
                   (one.question.login and one.answer.accepted or
                    "Relaying denied" in one.answer.text)}

        def all_there():
            found = {}
            for row in popgate.decisions(recipient=FOREIGN):
                found.setdefault(row["client"], []).append(row)
            return [found] if clients <= set(found) else None
        try:
            return wait_for(all_there, seconds=20)[0]
        except Failure:
            self.problems.append(f"not recorded: some of {clients}")
            return {}

    def refuses_all(self, service):
        """The answer to mail for our own domain when that is a refusal: then a
        stranger is refused before it is about relaying."""
        for one in self.before:
            if one.question.service is service and \
                    one.question.kind == "stranger own":
                return not one.answer.accepted and one.answer
        return None

    def is_refused(self, one, rows):
        if one.answer.code == 250:
            self.problem(one, "a stranger relays")
            return
        if any(row["verdict"] != "accept" and row["reply"] and
               words(row["reply"]) in one.answer.text for row in rows):
            if len({row["channel"] for row in rows}) != len(rows):
                self.problem(one, f"recorded {len(rows)} times")
            return
        before = self.before_of(one).answer
        refusal = self.refuses_all(one.question.service)
        if refusal and same_reason(before, refusal) and \
                same(before, one.answer):
            return          # a check in front of every permit, for anybody
        self.problem(one, f"not refused by popgate, {len(rows)} rows")

    def relays(self, one, rows):
        if not one.answer.accepted:
            refusal = self.refuses_all(one.question.service)
            if not refusal or not same(refusal, one.answer):
                self.problem(one, "a logged-in client can't relay")
            return
        accepted = [row for row in rows if row["verdict"] == "accept"]
        if not accepted:
            self.problem(one, "a relay that isn't recorded")
        channels = [row["channel"] for row in accepted]
        if len(set(channels)) != len(channels):
            self.problem(one, f"recorded more than once: {channels}")
        if not one.fate.startswith("sent") and any(
                other.fate.startswith("sent") for other in self.before
                if other.question.service is one.question.service):
            self.problem(one, "accepted and not delivered")

    def auth_relays(self, one):
        before = self.before_of(one)
        if before.answer.accepted:
            if not one.answer.accepted:
                self.problem(one, "AUTH doesn't relay any more")
            elif one.fate != before.fate:
                self.problem(one, "not delivered as before")
        elif not one.answer.accepted and not same(one.answer, before.answer):
            self.problem(one, "AUTH hears other words")

    def is_wanted(self, one):
        if not re.search(one.question.want, str(one.answer)):
            self.problem(one, f"expected {one.question.want}")

    def is_as_before(self, one, when=""):
        before = self.before_of(one)
        if not same(one.answer, before.answer):
            self.problem(one, f"{when}another answer")
        elif one.fate != before.fate:
            self.problem(one, f"{when}another fate")

    def calls_are_as_before(self, one, heard):
        """A service that was called before is still called; and for a relay
        that is permitted now, so is one that was called for AUTH or for own
        mail."""
        if one.question.service.local:
            return
        like = self.before_of(one)
        if one.question.kind == "login own":    # as AUTH is
            lost = {call for call in like.calls if call[0] != "policy"} - \
                one.calls
        elif one.question.kind == "login foreign":
            service = one.question.service
            for kind in ("auth foreign", "stranger own"):
                for other in self.before:
                    if other.question.service is service and \
                            other.question.kind == kind and \
                            other.answer.accepted:
                        like = other
                        break
                else:
                    continue
                break
            lost = {call for call in like.calls if call[0] != "policy"} - \
                one.calls
        else:
            lost = like.calls - one.calls
        if lost:
            self.problem(one, f"no longer called: {sorted(lost)}")


def words(reply):
    """Without the codes, which an MTA may write in its own way."""
    return re.sub(r"^[245]\d\d (\d\.\d+\.\d+ )?", "", reply)


def normal(answer):
    return CHANGING.sub("*", f"{answer.code} {answer.text}")


def same(one, other):
    return normal(one) == normal(other)


def same_reason(one, other):
    """The same but for the recipient."""
    return re.sub(r"<[^>]*>", "<>", normal(one)) == \
        re.sub(r"<[^>]*>", "<>", normal(other))


def changed(before, after):
    return sorted(str(path) for path in set(before) | set(after)
                  if before.get(path) != after.get(path))
