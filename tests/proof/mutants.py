#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""mutants - would a unit test notice if a line of the code were wrong?

    mutants.py [--build DIR] [--jobs N] [--sample N] [--seed N] [ROOM ...]

Changes one token or one statement of a pure room at a time (a mutant) and runs
the unit tests that reach it. A test that fails, crashes or doesn't end kills
the mutant; a mutant that lives shows what no test says. `make mutants` calls
it; mutants.txt has those that may live, each with its reason.

All mutants of a file are compiled at once: each is a copy of its function, and
the function begins with a jump to the copy that $MUTANT asks for. A mutant of
what stands outside of functions (a table, a macro) is compiled and linked by
itself. Mutants that gcc -O2 makes the same code of as of the original are no
mutants (equivalent). assert() and prefetching aren't changed: no test can tell.
"""

import argparse
import collections
import concurrent.futures
import glob
import os
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys
import threading
import time

ROOMS = {
    # room: its sources; headers are those whose inline functions are changed
    "policy": "common/policy/{policy,rcpt,decide,facts,reply}.c",
    "limiter": "common/policy/{charge,limiter*}.c "
               "common/policy/limiter_inside.h milter/throttle.c",
    "address": "common/base/addr.c "
               "common/mta/{address,domains}.c",
    "base": "common/base/{json,utf8,strset,strings,siphash,growth,clock,zone}.c"
            " common/base/fnv.h common/config/{duration,reply_template}.c",
    "judge": "common/policy/judge.c",
    "records": "common/records/*.c",
    "prefix": "common/grammar/prefix*.c",
    "parse": "common/grammar/{parse,parse_user,pairs,sessions,streams,guess,"
             "origin,programs,custom}.c",
    "servers": "common/grammar/servers/*.c common/grammar/span.h",
    "logs": "common/logs/{lines,trail,contents}.c",
    "protocol": "milter/{protocol,permit_cache,permit_pending,handoff_audited}.c",
    "mta": "common/mta/{senders,postfix_patterns,postfix_endpoint,"
           "postfix_literals,restrict}.c",
    "wiring": "common/mta/{postfix_wiring*,postfix_conf,sendmail_*,exim_acl,"
              "edit_plan,exim_plan,exim_source,exim_text,exim_wiring}.c",
}

FLAGS = "-O0 -g0 -w"
# so many of a room's mutants, in percent, have to be killed
ENOUGH = 95
# what other tests than a room's own may take for a mutant, in seconds
OTHERS_S = 3.0
# a test that takes longer isn't used
LONGEST_S = 15
# a run of a mutant is over after so much more processor time than the test
# takes, and so much at least; or (it sleeps) after so much time
CPU_TIMES, CPU_S, WALL_S = 10, 1, 120
ACCEPTED = "tests/proof/mutants.txt"

PRELUDE = r"""
#ifndef MUTANT_H
#define MUTANT_H
#include <stdio.h>
#include <stdlib.h>
#define MUTANT_WEAK __attribute__((weak))
MUTANT_WEAK int mutant_no, mutant_begun;
MUTANT_WEAK unsigned char mutant_reached[1 << 16];
MUTANT_WEAK void
mutant_end(void)
{
	const char *name = getenv("MUTANT_REACHED");
	FILE *f = name == NULL ? NULL : fopen(name, "a");

	for (int i = 0; f != NULL && i < 1 << 16; i++)
		if (mutant_reached[i])
			fprintf(f, "%d\n", i);
	if (f != NULL)
		fclose(f);
}
__attribute__((weak, constructor)) void
mutant_begin(void)
{
	if (mutant_begun++ > 0)
		return;
	if (getenv("MUTANT") != NULL)
		mutant_no = atoi(getenv("MUTANT"));
	if (getenv("MUTANT_REACHED") != NULL)
		atexit(mutant_end);
}
#endif
"""

TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/|//[^\n]*)
  | (?P<space>[ \t\n\f]+|\\\n)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<char>L?'(?:\\.|[^'\\\n])+')
  | (?P<number>\.?[0-9](?:[0-9a-zA-Z_.]|[eEpP][+-])*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<op><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=
      |\#\#|[-+*/%&|^~!<>=?:;,.(){}\[\]\#\\])
""", re.X | re.S)

Token = collections.namedtuple("Token", "kind text at")

SWAPS = {
    "<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"],
    "==": ["!="], "!=": ["=="], "&&": ["||"], "||": ["&&"],
    "++": ["--"], "--": ["++"], "+=": ["-="], "-=": ["+="],
    "|=": ["&="], "&=": ["|="], "<<": [">>"], ">>": ["<<"],
    "true": ["false"], "false": ["true"],
}
BINARY = {"+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["*"],
          "&": ["|"], "|": ["&"], "^": ["&"]}
UNTOUCHED = {"assert", "_Static_assert", "static_assert", "__builtin_prefetch",
             "__attribute__", "sizeof", "UNCHECKED", "REQUIRES", "GUARDED_BY"}
DECLARES = {"const", "struct", "enum", "static", "int", "char", "bool", "size_t",
            "unsigned", "long", "typedef", "union", "int64_t", "uint64_t",
            "uint32_t", "uint8_t", "case", "default", "if", "while", "for",
            "switch", "do", "else", "FILE", "_Static_assert", "assert"}


def tokens_of(text):
    """The tokens of C text, without space, comments and directives but
    #define."""
    found, at, line_start = [], 0, True
    while at < len(text):
        if text[at] == "#" and line_start:
            end = re.compile(r"(?:[^\\\n]|\\.|\\\n)*", re.S).match(text, at).end()
            head = re.match(r"#\s*define\s+\w+(\([^)]*\))?", text[at:end])
            if head is None:
                at = end
                continue
            at += head.end()
            line_start = False
            continue
        m = TOKEN.match(text, at)
        if m is None:
            raise SystemExit("mutants: no C: %r" % text[at:at + 40])
        if m.lastgroup == "space":
            line_start = line_start or "\n" in m.group()
        elif m.lastgroup != "comment":
            line_start = False
            found.append(Token(m.lastgroup, m.group(), at))
        at = m.end()
    return found


def close_of(tokens, i):
    """Of the bracket tokens[i], the index of what closes it."""
    depth = 0
    for j in range(i, len(tokens)):
        if tokens[j].text in "([{":
            depth += 1
        elif tokens[j].text in ")]}":
            depth -= 1
            if depth == 0:
                return j
    raise SystemExit("mutants: a bracket is open")


class Function:
    """One function definition: text[begin:end] is all of it."""

    def __init__(self, text, tokens, name, begin, params, brace, last):
        self.name, self.begin = name.text, begin
        self.name_at, self.brace_at = name.at, tokens[brace].at
        self.end = tokens[last].at + 1
        self.body = tokens[brace + 1:last]
        returns = text[begin:name.at]
        returns = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", returns, flags=re.S)
        words = re.findall(r"\w+|\*", re.sub(r"/\*.*?\*/", "", returns,
                                             flags=re.S))
        self.static = "static" in words
        self.returns = [w for w in words if w not in ("static", "inline",
                                                      "const", "_Noreturn")]
        self.void = self.returns == ["void"]
        self.args = self.names_of(tokens[params + 1:close_of(tokens, params)])

    @staticmethod
    def names_of(tokens):
        """The parameters' names, or None: there are any number."""
        parts, depth = [[]], 0
        for t in tokens:
            depth += (t.text in "([") - (t.text in ")]")
            if t.text == "," and depth == 0:
                parts.append([])
            else:
                parts[-1].append(t)
        names = []
        for part in parts:
            if [t.text for t in part] == ["void"] or not part:
                continue
            if part[-1].text == "...":
                return None
            pointer = [i for i, t in enumerate(part[:-1])
                       if t.text == "(" and part[i + 1].text == "*"]
            if pointer:
                names.append(part[pointer[0] + 2].text)
                continue
            flat, depth = [], 0
            for t in part:
                depth += t.text == "["
                if depth == 0 and t.kind == "name":
                    flat.append(t.text)
                depth -= t.text == "]"
            names.append(flat[-1])
        return names


def functions_of(text, tokens):
    """The function definitions, in order."""
    found, i, begin = [], 0, 0
    while i < len(tokens):
        t = tokens[i]
        if (t.kind == "name" and i + 1 < len(tokens) and
                tokens[i + 1].text == "(" and
                (t.at == 0 or text[t.at - 1] == "\n")):
            j = close_of(tokens, i + 1) + 1
            while j < len(tokens) and tokens[j].text not in ";{=,":
                j = (close_of(tokens, j) if tokens[j].text == "(" else j) + 1
            if j < len(tokens) and tokens[j].text == "{":
                last = close_of(tokens, j)
                start = text.rfind("\n\n", 0, t.at)
                head = text[start + 2:t.at]
                # the comment above stays where it is
                start += 2 + (head.rfind("*/") + 2 if "*/" in head else 0)
                found.append(Function(text, tokens, t, max(start, begin), i + 1,
                                      j, last))
                begin = found[-1].end
                i = last + 1
                continue
        if t.text in "{":
            i = close_of(tokens, i)
        i += 1
    return found


class Mutant:
    """text[at:end] becomes new. key: how mutants.txt names it."""

    def __init__(self, path, text, at, end, new, label, function):
        self.path, self.at, self.end, self.new = path, at, end, new
        self.function = function
        self.line = text.count("\n", 0, at) + 1
        start = text.rfind("\n", 0, at) + 1
        self.line_text = " ".join(
            text[start:text.find("\n", at)].rstrip("\\").split())
        self.label = label
        self.no = 0

    @property
    def key(self):
        return (self.path, self.label, self.line_text)

    def __str__(self):
        return "%s:%d\t%s\t%s" % (self.path, self.line, self.label,
                                  self.line_text)


def number_changes(text):
    m = re.fullmatch(r"(0[xX][0-9a-fA-F]+|[0-9]+)([uUlL]*)", text)
    if m is None:
        return []
    value = int(m[1], 8 if re.fullmatch("0[0-7]+", m[1]) else 0)
    return [str(v) + m[2] for v in (value + 1, value - 1) if v >= 0]


def token_changes(tokens, i):
    """(new text, label) of tokens[i]."""
    t = tokens[i]
    if t.text in SWAPS:
        return SWAPS[t.text]
    if t.text in BINARY and i > 0:
        before = tokens[i - 1]
        if (before.kind in ("number", "char") or before.text in ")]" or
                before.kind == "name" and before.text not in ("return", "case")):
            return BINARY[t.text]
        return []
    if t.text == "!":
        return [""]
    if t.kind == "number":
        return number_changes(t.text)
    if t.kind == "char" and len(t.text) == 3:
        return [t.text + " + 1"]
    return []


FREES = re.compile(r"free|.*_(free|release|close)|mutex_.*|.*_destroy")


def untouched_of(tokens):
    """Indexes of the tokens that stay as they are: what no test can tell, and
    what ASan tells (a buffer's size, memory that isn't freed)."""
    skip = set()
    for first, last in statements_of(tokens):
        if tokens[first].text in ("char", "uint8_t"):
            depth = 0
            for i in range(first, last):
                depth += (tokens[i].text == "[") - (tokens[i].text == "]")
                if depth:
                    skip.add(i)
        if FREES.fullmatch(tokens[first].text):
            skip.update(range(first, last + 1))
    for i, t in enumerate(tokens[:-1]):
        if t.text in UNTOUCHED and tokens[i + 1].text == "(":
            skip.update(range(i, close_of(tokens, i + 1) + 1))
    return skip


def statements_of(tokens):
    """(first, last) of the statements that end in a semicolon."""
    i, starts = 0, True
    while i < len(tokens):
        t = tokens[i].text
        if t in (";", "{", "}", "else", "do"):
            starts = True
        elif t in ("if", "while", "for", "switch") and i + 1 < len(tokens):
            i = close_of(tokens, i + 1)
            starts = True
        elif t in ("case", "default"):
            while tokens[i].text != ":":
                i += 1
            starts = True
        elif starts:
            j = i
            while j < len(tokens) and tokens[j].text != ";":
                j = (close_of(tokens, j) if tokens[j].text in "([{" else j) + 1
            yield i, j
            i, starts = j, True
        i += 1


def mutants_of(path, text, tokens, function):
    """All mutants in tokens, which are a function's body or what stands
    outside."""
    skip = untouched_of(tokens)
    seen = collections.Counter()

    def mutant(first, last, new, label):
        m = Mutant(path, text, tokens[first].at,
                   tokens[last].at + len(tokens[last].text), new, label,
                   function)
        seen[m.key] += 1
        if seen[m.key] > 1:
            m.label += " (%d)" % seen[m.key]
        return m

    for i, t in enumerate(tokens):
        if i in skip:
            continue
        for new in token_changes(tokens, i):
            yield mutant(i, i, new, "%s -> %s" % (t.text, new or "nothing"))
        if t.text in ("if", "while") and function and i + 1 < len(tokens):
            j = close_of(tokens, i + 1)
            inside = text[tokens[i + 1].at:tokens[j].at + 1]
            yield mutant(i + 1, j, "(!%s)" % inside, "%s (...) negated" % t.text)
    if function is None:
        return
    for first, last in statements_of(tokens):
        word = tokens[first].text
        if first in skip or word in DECLARES:
            continue
        if word == "return" and last > first + 1:
            inside = text[tokens[first + 1].at:tokens[last].at]
            if "*" in function.returns:
                new = "return NULL"
            elif "struct" in function.returns:
                new = None
            else:
                new = "return !(%s)" % inside
            if new and new != text[tokens[first].at:tokens[last].at]:
                yield mutant(first, last - 1, new, "return another")
        if word != "return" or last + 1 < len(tokens):
            yield mutant(first, last, ";", "deleted")


class Source:
    """A file, and what of it is changed."""

    def __init__(self, path, first_function):
        self.path = path
        self.text = open(path).read()
        tokens = tokens_of(self.text)
        self.functions = functions_of(self.text, tokens)
        self.mutants, self.outside = [], []
        for n, f in enumerate(self.functions):
            f.no = first_function + n
            f.mutants = []
            if f.args is not None:
                f.mutants = list(mutants_of(path, self.text, f.body, f))
                self.mutants += f.mutants
        inside = set()
        for f in self.functions:
            inside.update(t.at for t in tokens if f.begin <= t.at < f.end)
        if not path.endswith(".h"):
            self.outside = list(mutants_of(
                path, self.text, [t for t in tokens if t.at not in inside], None))

    def copy_of(self, f, m):
        text = (self.text[f.begin:m.at] + " " + m.new + " " +
                self.text[m.end:f.end])
        head = f.name_at - f.begin
        name = "%s__mutant_%d" % (f.name, m.no)
        text = text[:head] + name + text[head + len(f.name):]
        text = text.lstrip("\n")
        # a copy isn't another's, and needs no prototype
        if not f.static:
            text = "static " + text
        return '\n# 1 "mutant:%d"\n%s\n' % (m.no, text)

    def instrumented(self, dropped):
        """The file with all its mutants but those dropped."""
        out, at = [PRELUDE, '# 1 "%s"\n' % self.path], 0
        for f in self.functions:
            out.append(self.text[at:f.begin])
            copies = [m for m in f.mutants if m.no and m.no not in dropped]
            out.append("\n")
            if copies:
                # the copies call it, and it them
                out.append(self.text[f.begin:f.brace_at] + ";\n")
            out += [self.copy_of(f, m) for m in copies]
            out.append('\n# %d "%s"\n' %
                       (self.text.count("\n", 0, f.begin) + 1, self.path))
            out.append(self.text[f.begin:f.brace_at + 1])
            out.append(" mutant_reached[%d] = 1; switch (mutant_no) {" % f.no)
            for m in copies:
                call = "%s__mutant_%d(%s);" % (f.name, m.no, ", ".join(f.args))
                out.append("case %d: %s " % (
                    m.no, call + " return;" if f.void else "return " + call))
            out.append("}")
            out.append(self.text[f.brace_at + 1:f.end])
            at = f.end
        out.append(self.text[at:])
        return "".join(out)


def expand(words):
    """The files that a room's words name, as a shell would."""
    out = []
    for word in words.split():
        m = re.fullmatch(r"(.*)\{(.*)\}(.*)", word, re.S)
        names = [m[1] + x + m[3] for x in m[2].split(",")] if m else [word]
        for name in names:
            found = sorted(glob.glob(name))
            if not found:
                raise SystemExit("mutants: there is no %s" % name)
            out += [f for f in found if f not in out]
    return out


class Build:
    """Objects with mutants, and the unit tests linked to them: what they need
    besides is of the usual build."""

    def __init__(self, directory, jobs, flags, tests="tests/unit/*/test_*.c"):
        self.dir, self.jobs, self.tests = directory, jobs, tests
        self.over = os.path.join(self.dir, "over")
        shutil.rmtree(self.over, ignore_errors=True)
        os.makedirs(self.over)
        headers = subprocess.run(["git", "ls-files", "*.h", "Makefile"],
                                 stdout=subprocess.PIPE, text=True).stdout
        self.newest = max(map(os.path.getmtime, headers.split()))
        got = subprocess.run(["make", "-s", "mutants-flags", "CFLAGS=" + flags],
                             stdout=subprocess.PIPE, text=True, check=True)
        lines = [shlex.split(x) for x in got.stdout.split("\n")]
        self.cflags, self.libs = lines[:2]
        self.archives = lines[2:6]

    def link(self, sources, mark):
        """Each unit test, with the objects of these sources in place of the
        usual ones. A test that has no mark in it has none of them, and isn't
        worth running."""
        ours = {re.sub(".*/obj/", "", o): o for a in self.archives for o in a}
        ours = {ours[s[:-2] + ".o"]: self.object_of(s) for s in sources}
        for n, objects in enumerate(self.archives):
            name = os.path.join(self.dir, "lib%d.a" % n)
            if os.path.exists(name):
                os.remove(name)
            subprocess.run(["ar", "rcsT", name,
                            *[ours.get(o, o) for o in objects]], check=True)
            self.archives[n] = name
        sources = expand(self.tests)
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            tests = list(pool.map(self.link_one, sources))
        self.unit = [t for t in tests if t and mark in open(t, "rb").read()]

    def link_one(self, source):
        out = os.path.join(self.dir, source[:-2].replace("tests/", "", 1))
        os.makedirs(os.path.dirname(out), exist_ok=True)
        newest = max(os.path.getmtime(source), self.newest)
        if (not os.path.exists(out + ".o") or
                os.path.getmtime(out + ".o") <= newest):
            self.compile(open(source).read(), out + ".o")
        if not self.link_to(out, out + ".o"):
            print("not used, as it can't be linked like others: %s" % source)
            return None
        return out

    def link_to(self, out, *objects):
        got = subprocess.run(["gcc", *self.cflags, "-o", out, *objects,
                              *self.archives, *self.libs, "-lcmocka"],
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        return got.returncode == 0

    def compile(self, text, out, extra=()):
        return subprocess.run(
            ["gcc", *extra, *self.cflags, *extra, "-x", "c", "-c", "-o", out, "-"],
            input=text, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=dict(os.environ, LC_ALL="C"))

    def object_of(self, path):
        return os.path.join(self.dir, path[:-2].replace("/", "+") + ".o")

    def put_source(self, source):
        """Compile it with its mutants; those that are no C are dropped."""
        dropped = set()
        while True:
            text = source.instrumented(dropped)
            got = self.compile(text, self.object_of(source.path),
                               ("-I" + self.over,))
            if got.returncode == 0:
                break
            dropped |= self.bad_of(source, got)
        return dropped

    def put_header(self, header):
        """The same for a header, which the sources then include."""
        dropped = set()
        out = os.path.join(self.over, header.path)
        os.makedirs(os.path.dirname(out), exist_ok=True)
        while True:
            with open(out, "w") as f:
                f.write(header.instrumented(dropped))
            got = self.compile('#include "%s"\n' % header.path, "/dev/null",
                               ("-I" + self.over,))
            if got.returncode == 0:
                return dropped
            dropped |= self.bad_of(header, got)

    @staticmethod
    def bad_of(source, got):
        """The mutants that gcc says are no C."""
        bad = {int(n) for n in re.findall(r"^mutant:(\d+):\d+:\d+: error",
                                          got.stdout, re.M)}
        if not bad:
            sys.stdout.write(got.stdout[:3000])
            raise SystemExit("mutants: %s: can't be compiled" % source.path)
        return bad


def passes(test, cpu_s=60, **env):
    """Does the test pass? With the processor time that it took, in s."""
    def limit():
        for what, most in ((resource.RLIMIT_CPU, int(cpu_s) + 1),
                           (resource.RLIMIT_CORE, 0),
                           (resource.RLIMIT_AS, 4 << 30),
                           (resource.RLIMIT_FSIZE, 1 << 28)):
            resource.setrlimit(what, (most, most))

    p = subprocess.Popen([test], env=dict(os.environ, **env),
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, preexec_fn=limit,
                         start_new_session=True)
    watchdog = threading.Timer(WALL_S, os.killpg, (p.pid, 9))
    watchdog.start()
    _, status, usage = os.wait4(p.pid, 0)
    watchdog.cancel()
    p.returncode = status
    try:
        os.killpg(p.pid, 9)
    except ProcessLookupError:
        pass
    return status == 0, usage.ru_utime + usage.ru_stime


class Entries:
    """A file of what may be so, a line each: path, what, line of code, reason,
    with tabs between. The code is quoted, so that an entry goes with it."""

    def __init__(self, name):
        self.name, self.reasons, self.texts = name, {}, {}
        for n, line in enumerate(open(name), 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            parts = line.split("\t")
            if len(parts) != 4 or not parts[3].strip():
                raise SystemExit("%s:%d: expected path, what, line and reason, "
                                 "with tabs between" % (name, n))
            self.reasons[tuple(parts[:3])] = parts[3]
        self.used = set()

    def lines(self, path):
        if path not in self.texts:
            self.texts[path] = [" ".join(x.rstrip("\n").rstrip("\\").split())
                                for x in open(path)] \
                if os.path.exists(path) else []
        return self.texts[path]

    def line(self, path, number):
        return self.lines(path)[number - 1]

    def has(self, path, what, number):
        for w in (what, "*"):
            key = (path, w, self.line(path, number))
            if key in self.reasons:
                self.used.add(key)
                return self.reasons[key]
        return None

    def stale(self, unused=True):
        """Those of lines that aren't there, and that nothing asked for."""
        for key in self.reasons:
            if key[2] not in self.lines(key[0]):
                yield "%s: there is no such line: %s\t%s\t%s" % (self.name,
                                                                *key)
            elif unused and key not in self.used:
                yield "%s: isn't needed: %s\t%s\t%s" % (self.name, *key)


class Run:
    def __init__(self, args):
        self.args = args
        self.rooms = collections.OrderedDict()
        self.codes = {}     # of each file unchanged, as gcc compiles it
        self.sources = []
        number = 0
        for room in args.rooms or ROOMS:
            if room not in ROOMS:
                raise SystemExit("mutants: %s: there are %s" %
                                 (room, " ".join(ROOMS)))
            self.rooms[room] = []
            for path in expand(ROOMS[room]):
                s = Source(path, number)
                number += len(s.functions)
                self.rooms[room].append(s)
                self.sources.append(s)
        self.choose()

    def choose(self):
        """Number the mutants; of many in a room a sample. The headers' last:
        their files are compiled first."""
        no = 0
        self.sampled = {}
        for room, sources in self.rooms.items():
            chance = random.Random("%d %s" % (self.args.seed, room))
            inside = [m for s in sources for m in s.mutants]
            outside = [m for s in sources for m in s.outside]
            self.sampled[room] = (len(inside) + len(outside))
            if self.args.only:
                inside = [m for m in inside if self.wanted(m)]
                outside = [m for m in outside if self.wanted(m)]
            if len(inside) > self.args.sample:
                inside = chance.sample(inside, self.args.sample)
            if len(outside) > self.args.outside:
                outside = chance.sample(outside, self.args.outside)
            for m in inside + outside:
                no += 1
                m.no = no

    def wanted(self, m):
        return any(w in "%s:%d" % (m.path, m.line) for w in self.args.only)

    def build(self):
        self.b = Build(self.args.build, self.args.jobs, FLAGS,
                       self.args.tests)
        self.dropped = set()
        for s in self.sources:
            if s.path.endswith(".h"):
                self.dropped |= self.b.put_header(s)
        with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
            for d in pool.map(self.b.put_source,
                              [s for s in self.sources
                               if s.path.endswith(".c")]):
                self.dropped |= d
        self.b.link([s.path for s in self.sources if s.path.endswith(".c")],
                    b"mutant_reached")

    def reach(self):
        """Find the functions that each test reaches, and how long it takes."""
        self.takes, self.reached = {}, {}
        tests = self.b.unit

        def one(test):
            out = os.path.join(self.b.dir, "reached." + os.path.basename(test))
            if os.path.exists(out):
                os.remove(out)
            ok, took = passes(test, LONGEST_S, MUTANT_REACHED=out)
            lines = open(out).read().split() if os.path.exists(out) else []
            return test, ok, took, {int(x) for x in lines}

        with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
            for test, ok, took, lines in pool.map(one, tests):
                if not ok:
                    print("mutants: not used, as it fails or takes %d s: %s" %
                          (LONGEST_S, test))
                    continue
                self.takes[test] = took
                self.reached[test] = lines

    def tests_of(self, source, functions):
        """The tests to run, in order: those of the same name, those of the
        room, then others as long as they take little."""
        stem = os.path.basename(source.path)[:-2]
        room = os.path.basename(os.path.dirname(source.path))

        def nearness(test):
            name = os.path.basename(test)[5:]
            return (name not in stem and stem not in name,
                    os.path.basename(os.path.dirname(test)) != room,
                    self.takes[test])
        out, others = [], 0.0
        for test in sorted(self.takes, key=nearness):
            if not self.reached[test] & functions:
                continue
            if nearness(test)[1]:
                others += self.takes[test]
                if others > OTHERS_S and out:
                    break
            out.append(test)
        return out

    def limit_of(self, test):
        return CPU_S + CPU_TIMES * self.takes[test]

    def judge(self, source, m):
        """killed, survived, unreached or equivalent"""
        tests = self.tests_of(source, {m.function.no})
        if not tests:
            return "unreached"
        for test in tests:
            if not passes(test, self.limit_of(test), MUTANT=str(m.no))[0]:
                return "killed"
        return self.alive(source, m)

    def mutated(self, source, m):
        return source.text[:m.at] + " " + m.new + " " + source.text[m.end:]

    def alive(self, source, m):
        if source.path.endswith(".h"):
            return "survived"
        if source.path not in self.codes:
            self.codes[source.path] = self.code_of(source, source.text, m)
        return "equivalent" if self.codes[source.path] == self.code_of(
            source, self.mutated(source, m), m) else "survived"

    def code_of(self, source, text, m):
        out = os.path.join(self.b.dir, "same.%d.s" % m.no)
        # no asserts: they aren't what a mutant can be told by
        self.b.compile('# 1 "%s"\n' % source.path + text, out,
                       ("-O2", "-DNDEBUG", "-S"))
        code = open(out).read()
        os.remove(out)
        return code

    def judge_outside(self, source, m):
        """Compiled and linked by itself."""
        functions = {f.no for f in source.functions}
        tests = self.tests_of(source, functions)[:4]
        out = os.path.abspath(os.path.join(self.b.dir, "one.%d" % m.no))
        got = self.b.compile('# 1 "%s"\n' % source.path +
                             self.mutated(source, m), out + ".o")
        if got.returncode != 0:
            return "no C"
        try:
            for test in tests:
                if not self.b.link_to(out, test + ".o", out + ".o"):
                    return "no C"
                if not passes(out, self.limit_of(test))[0]:
                    return "killed"
        finally:
            for name in (out, out + ".o"):
                if os.path.exists(name):
                    os.remove(name)
        return self.alive(source, m) if tests else "unreached"

    def all(self):
        work = []
        for room, sources in self.rooms.items():
            for s in sources:
                for m in s.mutants + s.outside:
                    if m.no and m.no not in self.dropped:
                        work.append((room, s, m))
        # what was found so far is shown by room, so rooms are in order
        self.fates = collections.defaultdict(collections.Counter)
        self.living = []

        def one(item):
            room, s, m = item
            fate = (self.judge if m.function else self.judge_outside)(s, m)
            return room, m, fate

        accepted, killed = Entries(ACCEPTED), set()
        with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
            for room, m, fate in pool.map(one, work):
                if fate in ("survived", "unreached"):
                    reason = accepted.has(m.path, m.label, m.line)
                    if reason:
                        fate = "equivalent" if reason.startswith(
                            "equivalent") else "accepted"
                elif fate == "killed":
                    killed.update((m.key, (m.path, "*", m.line_text)))
                self.fates[room][fate] += 1
                if fate in ("survived", "unreached"):
                    self.living.append(m)
                    print("%s\t%s" % (fate, m), flush=True)
        self.wrong = ["%s: is killed: %s" % (ACCEPTED, "\t".join(key))
                      for key in accepted.reasons
                      if key in killed and key not in accepted.used]
        self.wrong += accepted.stale(False)

    def report(self, took):
        print("\n%-9s %7s %7s %7s %7s %7s %7s %7s" % (
            "room", "all", "run", "killed", "equiv.", "accept.", "alive", "%"))
        total = collections.Counter()
        everything = 0
        for room in self.rooms:
            fates = self.fates[room]
            total += fates
            everything += self.sampled[room]
            self.row(room, self.sampled[room], fates)
        self.row("sum", everything, total)
        print("%% killed of those that aren't equivalent; %d s, seed %d" %
              (took, self.args.seed))
        for text in self.wrong:
            print(text)
        rates = [self.rate(self.fates[r]) for r in self.rooms]
        return min(rates) < ENOUGH or self.wrong

    @staticmethod
    def rate(fates):
        real = (fates["killed"] + fates["accepted"] + fates["survived"] +
                fates["unreached"])
        return 100.0 * fates["killed"] / real if real else 100.0

    @staticmethod
    def row(room, every, fates):
        alive = fates["survived"] + fates["unreached"]
        real = fates["killed"] + alive + fates["accepted"]
        print("%-9s %7d %7d %7d %7d %7d %7d %7.1f" % (
            room, every, real + fates["equivalent"], fates["killed"],
            fates["equivalent"], fates["accepted"], alive,
            Run.rate(fates)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default="build-mutants")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--sample", type=int, default=1000)
    p.add_argument("--outside", type=int, default=100)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--tests", default="tests/unit/*/test_*.c")
    p.add_argument("--only", action="append", default=[],
                   help="only mutants whose file:line has this in it")
    p.add_argument("rooms", nargs="*", metavar="ROOM")
    args = p.parse_args()
    begun = time.monotonic()
    run = Run(args)
    run.build()
    os.nice(15)
    run.reach()
    run.all()
    return 1 if run.report(time.monotonic() - begun) else 0


if __name__ == "__main__":
    sys.exit(main())
