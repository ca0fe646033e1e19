#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""make demo - popgate's story on real servers, told on the screen.

    tests/system/demo.py [postfix|sendmail]

Starts Postfix or Sendmail (closed wiring), Dovecot, popgate and smtp-sink,
which plays the rest of the world, in a private directory and on unprivileged
ports of 127.0.0.1.  Stops all of it and removes the directory at the end, on
Ctrl-C too; killed, it takes all of it along.  Servers that are only unpacked
below build/ are seen in a mount namespace.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import textwrap
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from lab import client, sendmail  # noqa: E402
from lab.dovecot import Dovecot, login_line  # noqa: E402
from lab.popgate import Popgate  # noqa: E402
from lab.postfix import Postfix  # noqa: E402
from lab.process import Failure, started, wait_for  # noqa: E402
from lab.site import BUILD, PASSWORD, LoopbackSite  # noqa: E402
from lab.world import World  # noqa: E402

CLIENT = "127.0.0.66"
OUTSIDE, OURS = "friend@remote.test", "vbox@vmail.test"
WINDOW = 8

TTY = sys.stdout.isatty()
COLOUR = TTY and "NO_COLOR" not in os.environ and \
    os.environ.get("TERM", "dumb") != "dumb"
STYLES = {"title": "1", "dim": "2", "good": "32", "bad": "31", "cmd": "36"}


def style(name, text):
    return f"\033[{STYLES[name]}m{text}\033[0m" if COLOUR else text


def say(text=""):
    print(textwrap.fill(" ".join(text.split()), 76,
                        break_on_hyphens=False), flush=True)


def show(line, name=None):
    """A line that a program wrote: never folded."""
    print("    " + (style(name, line) if name else line), flush=True)


def pause(seconds=0.7):
    if TTY:
        time.sleep(seconds)


class Chapter:
    number = 0

    def __init__(self, title):
        Chapter.number += 1
        print()
        print(style("title", f"{Chapter.number}. {title}"), flush=True)
        pause()


# --- what the client does, shown as it goes over the wire ---

class ShownSmtp(client.Smtp):
    def command(self, line):
        reply = super().command(line)
        if not line.startswith(("EHLO", "QUIT", "Subject:")):
            show(f"C: {line}", "dim")
            name = {2: "good", 3: "good", 4: "bad", 5: "bad"}
            show(f"S: {reply}", name.get(reply.code // 100))
        return reply


def send(site, recipient):
    """One message from the client, and the reply to RCPT."""
    with ShownSmtp(site.smtp, CLIENT) as smtp:
        token = client.new_token()
        smtp.mail("alice@lab.test")
        reply = smtp.rcpt(recipient)
        if reply.code == 250:
            reply = smtp.data(token)
            show(f"S: {reply}", "good" if reply.code == 250 else "bad")
        smtp.command("QUIT")
    pause()
    return reply, token


def login(site):
    with client.Line(site.imap, CLIENT) as imap:
        imap.receive()
        show('C: a LOGIN "alice" "******"', "dim")
        imap.send(f'a LOGIN "alice" "{PASSWORD}"')
        reply = imap.receive()
        while reply.startswith("*"):
            reply = imap.receive()
        show("S: " + re.sub(r"\[CAPABILITY[^]]*\] ", "", reply), "good")
        imap.send("b LOGOUT")


def command(shown, arguments):
    """Run it, show it and what it says."""
    show(f"$ {shown}", "cmd")
    done = subprocess.run([str(word) for word in arguments],
                          capture_output=True, text=True)
    for line in (done.stdout + done.stderr).rstrip().splitlines():
        show(line)
    expect(done.returncode == 0, f"{shown} failed")
    pause()
    return done.stdout


def expect(truth, what):
    if not truth:
        raise Failure(f"this should not happen: {what}")


# --- the servers ---

def start_servers(site, mta_name):
    world = World(site, "world", site.world).start()
    Dovecot(site, log_file=site.mail_log).start()
    if mta_name == "postfix":
        mta = Postfix(site, "closed.cf", own_log=site.log / "postfix.log")
        domains, group = [f"postfix:{mta.etc}"], "postfix"
    else:
        mta = sendmail.Sendmail(site, "closed.m4")
        domains = [f"file:{mta.directory}/local-host-names",
                   f"file:{mta.directory}/relay-domains"]
        group = "nogroup"
    popgate = Popgate(site, domains, mta_group=group, window=f"{WINDOW}s",
                      never=(), users=("nobody", "nobody")).start()
    if mta_name == "postfix":
        site.stop_mta = mta.stop
        mta.start()
    else:
        mta.start(lambda: say(
            "(Sendmail takes a minute to start on a machine whose host name "
            "has no domain. This is such a machine.)"))
    return mta, world, popgate


def versions(mta_name):
    if mta_name == "postfix":
        said = subprocess.run(["postconf", "-hd", "mail_version"],
                              capture_output=True, text=True).stdout
        mta = f"Postfix {said.strip()}"
    else:
        mta = f"Sendmail {sendmail.version()}"
    said = subprocess.run(["dovecot", "--version"], capture_output=True,
                          text=True).stdout
    return f"{mta}, Dovecot {said.split()[0]}"


# --- the story ---

def story(site, mta_name):
    print(style("title", "popgate: POP-before-SMTP, done right"))
    say(f"Starting {versions(mta_name)} and popgate in {site.root}, on "
        "127.0.0.1 and ports nobody else uses. No server and no file of this "
        "machine is touched, and no mail leaves it: smtp-sink plays the rest "
        "of the world.")
    mta, world, popgate = start_servers(site, mta_name)
    ctl = [BUILD / "popgatectl", "-c", popgate.config]

    Chapter(f"Alice, travelling, sends mail from {CLIENT}")
    say("The server doesn't know this address. It is closed: it delivers "
        "for its own domains, and relays for nobody.")
    reply, _ = send(site, OUTSIDE)
    expect(reply.code == 550, f"a stranger got {reply}")
    say("Refused, and told what to do. Mail for the server's own users needs "
        "no permission from anybody:")
    reply, token = send(site, OURS)
    expect(reply.code == 250, f"mail for us got {reply}")
    wait_for(lambda: mta.delivered(token), "mail for us to arrive")
    say("It is in the mailbox already.")

    Chapter("She checks her mail first")
    login(site)
    started = time.monotonic()
    popgate.wait_login(CLIENT)
    learnt = (time.monotonic() - started) * 1000
    say("Dovecot wrote that to its log, as always:")
    line = [text for text in site.mail_log.read_text().splitlines()
            if login_line() in text][-1]
    for part in textwrap.wrap(line, 72):
        show(part)
    say(f"popgate-collector follows the log, and {learnt:.0f} ms later "
        "the login table had it:")
    command("popgatectl list", [*ctl, "dump"])

    Chapter("Now the same message again")
    reply, token = send(site, OUTSIDE)
    expect(reply.code == 250, f"alice got {reply}")
    got = world.wait_recipients(token)
    say(f"Relayed. What the outside world has received so far: "
        f"{', '.join(got)}.")

    Chapter("Why may this address relay?")
    say("Any administrator will ask some day. One command answers, down to "
        "the line of the log:")
    said = command(f"popgatectl why {CLIENT}", [*ctl, "why", CLIENT])
    for told in "Accepted: 2 recipients in 2 messages", "Refused: 1 recipient":
        expect(told in said, f"no '{told}'")

    Chapter("Every recipient is a row in SQLite")
    query = ("SELECT time(at / 1000, 'unixepoch', 'localtime') AS time, "
             "client, trim(recipient, '<>') AS recipient, verdict, reason, "
             "channel FROM decision ORDER BY id")
    show("$ sqlite3 audit.db \"SELECT time, client, recipient, ... "
         "FROM decision\"", "cmd")
    done = subprocess.run(["sqlite3", "-readonly", "-column", "-header",
                           popgate.data / "audit.db", query],
                          capture_output=True, text=True)
    for text in (done.stdout + done.stderr).rstrip().splitlines():
        show(text)
    expect(done.returncode == 0, "sqlite3 failed")
    expect(len(done.stdout.splitlines()) == 2 + 3, "not three recipients")
    say("Channel policy or socketmap is where popgate lets the closed server "
        "relay; channel milter is the second lock, which sees everything the "
        "server let through.")

    Chapter(f"The permission ends by itself: here after {WINDOW} seconds")
    expires = max(row["expires_at"] for row in popgate.logins())
    wait_until(expires + 1)
    reply, _ = send(site, OUTSIDE)
    expect(reply.code == 550, f"an expired login got {reply}")
    say("Refused again.")

    Chapter("And if popgate crashes?")
    login(site)
    popgate.wait_login(CLIENT)
    wait_for(lambda: max(row["expires_at"] for row in popgate.logins())
             > time.time(), "the new login")
    say("She has just logged in once more. But:")
    show("$ kill -9 $(pidof popgate-milter)", "cmd")
    popgate.milter.kill()
    reply, _ = send(site, OUTSIDE)
    expect(reply.code // 100 == 4, f"with popgate dead, alice got {reply}")
    reply, token = send(site, OURS)
    expect(reply.code == 250, f"with popgate dead, mail for us got {reply}")
    wait_for(lambda: mta.delivered(token), "mail for us to arrive")
    say("The gate stays shut (\"try again later\"), and mail for the server's "
        "own users goes on arriving. The outside world has received "
        f"{len(world.recipients())} message in all.")
    expect(len(world.recipients()) == 1, "more than one message got out")


def wait_until(moment):
    while (left := moment - time.time()) > 0:
        if TTY:
            print(f"\r    waiting {left:2.0f} s ", end="", flush=True)
        time.sleep(min(left, 0.5))
    if TTY:
        print("\r" + " " * 20 + "\r", end="")


def stop_everything():
    """By pid; all at once, and whoever takes too long is killed."""
    for server in started:
        server.send(signal.SIGTERM)
    end = time.monotonic() + 3
    for server in reversed(started[:]):
        server.stop(seconds=max(0, end - time.monotonic()))


def main():
    mta_name = sys.argv[1] if len(sys.argv) > 1 else "postfix"
    if mta_name not in ("postfix", "sendmail"):
        sys.exit("usage: demo.py [postfix|sendmail]")
    if os.geteuid() != 0:
        sys.exit("demo.py: mail servers start as root: use sudo, or "
                 "`make demo`, which does")

    def interrupted(number, _frame):
        raise KeyboardInterrupt
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)

    site, status = None, 1
    try:
        site = LoopbackSite("popgate-demo")
        story(site, mta_name)
        status = 0
    except KeyboardInterrupt:
        print("\nInterrupted.")
        status = 130
    except (Failure, OSError) as failure:
        print(f"\n{style('bad', 'demo.py')}: {failure}", file=sys.stderr)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if site:
            site.stop_mta()
        stop_everything()
        if status and site and "POPGATE_DEMO_KEEP" in os.environ:
            end = f"{site.root} is left for you to look at."
            site.end()
        else:
            end = "the private directory is gone."
            if site:
                site.close()
    print()
    say(f"All servers are stopped, {end}")
    sys.exit(status)


if __name__ == "__main__":
    main()
