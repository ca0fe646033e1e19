# SPDX-License-Identifier: ISC
"""A real journald with servers whose output it takes line by line, in a mount
and a network namespace of its own.  test_journal.py runs this by unshare(1):

    journal_lab.py BUILD nginx|dovecot|lines|flood

and reads what it prints: a JSON object of what the collector made of it."""
import base64
import ctypes
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

from lab import process
from lab.dovecot import head, is_2_4, store

RUN = pathlib.Path("/run")
DB = RUN / "logins.db"
CONF = """\
logins: { database = "/run/logins.db"; };
audit: { database = "/run/audit.db"; };
milter: { status = ""; };
relay: { never_authorize = [ ]; collector_grace = "4s";
         local_domains = [ "lab.test" ]; };
collector: { user = "root"; sources = ( { journal = "system"; } ); status = "";
  custom = ( { program = "mypopd"; pattern = "^in (?<user>.) (?<ip>.*)$"; },
    { program = "myescd"; pattern = "^in (?<user>.) (?<ip>.*)$";
      stream = true; } ); };
"""
LINE_MAX = 48 * 1024        # journald.conf(5), LineMax=
NGINX = """\
load_module {module};
daemon off; worker_processes 1; pid /run/nginx.pid; user root;
error_log {log} info;
events {{ worker_connections 64; }}
mail {{
  auth_http 127.0.0.1:8099/auth; server_name x; imap_auth plain login;
  server {{ listen 127.0.0.1:1143; protocol imap; }}
}}
"""
DOVECOT = """\
base_dir = /run/dovecot-lab
state_dir = /run/dovecot-lab
protocols = imap
listen = 127.0.0.1
log_path = /dev/stderr
auth_verbose = yes
auth_mechanisms = plain login
auth_failure_delay = 0
ssl = no
default_login_user = dovenull
default_internal_user = dovecot
service imap-login {
  inet_listener imap {
    port = 1143
  }
  inet_listener imaps {
    port = 0
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
"""


def wait_for(condition, what):
    return process.wait_for(condition, lambda: f"{what}: {dump()}")


def mount(kind, where, options="defaults"):
    pathlib.Path(where).mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", kind, "-o", options, kind, where],
                   check=True)


def rows(query):
    try:
        db = sqlite3.connect(f"file:{DB}?mode=ro", uri=True)
        try:
            return db.execute(query).fetchall()
        finally:
            db.close()
    except sqlite3.OperationalError:
        return []       # not there yet


def counts():
    return {f"{server} {reason}": lines for server, reason, lines in
            rows("SELECT server, reason, lines FROM source_count")}


def dump():
    return json.dumps({
        "logins": sorted(rows("SELECT client, user, server FROM login")),
        "events": rows("SELECT client, line FROM login_event"),
        "counts": counts(),
        "notes": (RUN / "notes").read_text()})


class Lab:
    def __init__(self, build):
        self.build = build
        mount("tmpfs", "/run")
        mount("tmpfs", "/opt", "mode=755")
        if os.path.isdir("/var/log/journal"):
            mount("tmpfs", "/var/log/journal")
        machine = pathlib.Path("/etc/machine-id").read_text().strip()
        (RUN / "log/journal" / machine).mkdir(parents=True)
        (RUN / "systemd/journal").mkdir(parents=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        (RUN / "systemd/journald.conf.d").mkdir()
        (RUN / "systemd/journald.conf.d/rate.conf").write_text(
            "[Journal]\nRateLimitIntervalSec=1s\nRateLimitBurst=20\n")
        (RUN / "popgate.conf").write_text(CONF)
        self.children = []
        self.spawn("/lib/systemd/systemd-journald",
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(journald_listens, "journald")
        self.collector = None
        self.start_collector()

    def spawn(self, *command, **popen):
        popen.setdefault("stdin", subprocess.DEVNULL)
        child = subprocess.Popen([str(word) for word in command], **popen)
        self.children.append(child)
        return child

    def start_collector(self):
        with (RUN / "notes").open("ab") as notes:
            self.collector = self.spawn(
                self.build / "popgate-collector", "-c", "/run/popgate.conf",
                "-l", "stderr", stderr=notes)

    def kill_collector(self):
        self.collector.send_signal(signal.SIGKILL)
        self.collector.wait()

    def stop(self):
        for child in reversed(self.children):
            if child.poll() is None:
                child.terminate()
            child.wait()

    def marker(self, text="in w 192.0.2.99", client="192.0.2.99"):
        """A login by syslog(3): what came before it has been read, too."""
        program = pathlib.Path("/opt/marker/mypopd")
        program.parent.mkdir(exist_ok=True)
        if not program.exists():
            shutil.copy("/usr/bin/logger", program)
        subprocess.run([program, "-u", "/run/systemd/journal/dev-log",
                        "-t", "mypopd", text], check=True)
        wait_for(lambda: rows("SELECT 1 FROM login WHERE client = "
                              f"'{client}'"), "the marker")


def imap(client, *steps):
    """Say steps as a client does; after each the server's answer, if it has
    one."""
    s = socket.socket()
    s.bind((client, 0))
    s.settimeout(10)
    s.connect(("127.0.0.1", 1143))
    got = [s.recv(4096)]
    for step in steps:
        try:
            s.sendall(step)
            got.append(s.recv(4096))
        except OSError:
            break
    s.close()
    return b"".join(got)


def journald_listens():
    """Its sockets are there before it listens."""
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(str(RUN / "systemd/journal/stdout"))
        except OSError:
            return False
    return True


def reachable():
    try:
        socket.create_connection(("127.0.0.1", 1143), 1).close()
    except OSError:
        return False
    return True


# --- nginx: a client's newline goes into its error log as it came ---

class Refuse(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        good = self.headers.get("Auth-User") == "alice"
        self.send_header("Auth-Status", "OK" if good else "Invalid login")
        self.send_header("Auth-Server", "127.0.0.1")
        self.send_header("Auth-Port", "1144")
        self.end_headers()

    def log_message(self, *args):
        pass


def upstream():
    """The server behind the proxy: it lets anybody in."""
    listener = socket.create_server(("127.0.0.1", 1144))

    def serve(peer):
        peer.sendall(b"* OK\r\n")
        while line := peer.recv(4096):
            peer.sendall(b"+ ok\r\n" if line.rstrip().endswith(b"}")
                         else b"a OK done\r\n")

    while True:
        peer, _ = listener.accept()
        threading.Thread(target=serve, args=(peer,), daemon=True).start()


def nginx(lab):
    tree = lab.build / "nginx"
    web = http.server.HTTPServer(("127.0.0.1", 8099), Refuse)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    threading.Thread(target=upstream, daemon=True).start()
    shutil.copy(tree / "usr/sbin/nginx", "/opt/nginx")
    module = tree / "usr/lib/nginx/modules/ngx_mail_module.so"
    conf = RUN / "nginx.conf"

    def start(log):
        conf.write_text(NGINX.format(module=module, log=log))
        child = lab.spawn("systemd-cat", "-t", "nginx", "/opt/nginx", "-e",
                          "stderr", "-c", conf)
        wait_for(reachable, "nginx")
        return child

    child = start("stderr")
    stamp = time.strftime("%Y/%m/%d %H:%M:%S").encode()
    name = (b'x\n' + stamp + b' [info] 77#77: *31 client logged in, client: '
            b'6.6.6.6, server: 0.0.0.0:143, login: "mallory')
    got = imap("127.0.0.6", b"a LOGIN {%d}\r\n" % len(name),
               name + b" {3}\r\n", b"bad\r\n")
    assert b"a NO" in got, got
    # and a true one: it can't be told from that
    assert b"a OK" in imap("127.0.0.7", b"a LOGIN alice secret\r\n")
    lab.marker()
    child.terminate()
    child.wait()
    wait_for(lambda: not reachable(), "nginx to end")
    # by syslog a message is one, and its newline a part of it
    start("syslog:server=unix:/run/systemd/journal/dev-log,nohostname")
    imap("127.0.0.8", b"a LOGIN {%d}\r\n" % len(name),
         name + b" {3}\r\n", b"bad\r\n")
    assert b"a OK" in imap("127.0.0.9", b"a LOGIN alice secret\r\n")
    lab.marker("in w 192.0.2.98", "192.0.2.98")
    wait_for(lambda: counts().get("nginx stream-piece", 0) >= 2, "counters")


# --- Dovecot: every byte of a client's is escaped ---

def dovecot(lab):
    (RUN / "users").write_text("alice:secret\n")
    (RUN / "home").mkdir()
    (RUN / "home").chmod(0o777)
    (RUN / "dovecot.conf").write_text(
        head() + DOVECOT + ("" if is_2_4() else "imap_id_log = *\n") +
        store("/run/home", "/run/users", 33, 33))
    lab.spawn("systemd-cat", "-t", "dovecot", "/usr/sbin/dovecot", "-F", "-c",
              "/run/dovecot.conf")
    wait_for(reachable, "dovecot")
    forged = (time.strftime("%b %d %H:%M:%S ").encode() +
              b"imap-login: Info: Login: user=<m>, method=PLAIN, rip=6.6.6.6,"
              b" lip=127.0.0.1, mpid=7, session=<aBcDeF>")
    for before in (b"x\n", b"x\0", b"x\r\n", b"\n", b"\0", b"x" * LINE_MAX,
                   b"x" * (LINE_MAX - 60), b"x" * 4000, b"x" * 8000):
        for name in (before + forged, before + forged + b"\n"):
            imap("127.0.0.6", b"a LOGIN {%d+}\r\n" % len(name) + name +
                 b" bad\r\n")
            imap("127.0.0.6", b"a LOGIN {%d}\r\n" % len(name),
                 name + b" {3}\r\n", b"bad\r\n")
            imap("127.0.0.6", b"a AUTHENTICATE PLAIN " +
                 base64.b64encode(b"\0" + name + b"\0bad") + b"\r\n")
            imap("127.0.0.6", name + b"\r\n")
            imap("127.0.0.6", b'a ID ("name" {%d+}\r\n' % len(name) + name +
                 b")\r\n")
    # what comes behind 4,096 bytes is a line of its own
    for pad in range(3600, 4096, 16):
        key = b'a ID ("name" "' + b"x" * pad + b'")\r\n'
        imap("127.0.0.6", key)
    assert b"a OK" in imap("127.0.0.7", b"a LOGIN alice secret\r\n")
    wait_for(lambda: rows("SELECT 1 FROM login WHERE client = '127.0.0.7'"),
             "the true login")
    lab.marker()


# --- a program's lines, byte by byte ---

def lines(lab):
    """Programs that let NUL and long lines through, and one that is said to
    let nothing through; the collector is killed between two pieces."""
    def output(name):
        program = pathlib.Path("/opt", name)
        if not program.exists():        # nor may it be written while it runs
            shutil.copy("/usr/bin/cat", program)
        return lab.spawn("systemd-cat", "-t", name, program,
                         stdin=subprocess.PIPE)

    def say(child, text):
        child.stdin.write(text)
        child.stdin.flush()

    def wait_count(key, n):
        wait_for(lambda: counts().get(key, 0) >= n, f"{n} of {key}")

    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()).encode()

    def success(ip):
        return (stamp + b" INFO Authentication successful (auth.success) "
                b"localPort = 993, remoteIp = " + ip +
                b', remotePort = 1, accountName = "m"\n')

    failed = (stamp + b" INFO Authentication failed (auth.failed) localPort "
              b'= 993, remoteIp = 198.51.100.7, remotePort = 1, accountName = '
              b'"')
    stalwart = output("stalwart")
    say(stalwart, failed + b"x\0" + success(b"6.6.6.1"))
    say(stalwart, failed + b"x" * (LINE_MAX - len(failed)) +
        success(b"6.6.6.2"))
    say(stalwart, success(b"6.6.6.3"))
    mypopd = output("mypopd")
    say(mypopd, b"in w 6.6.6.4\n")
    myescd = output("myescd")
    say(myescd, b"in w 192.0.2.1\n")
    say(myescd, b"x\0in w 6.6.6.5\n")
    say(myescd, b"in w 192.0.2.2\n")
    say(myescd, b"x" * LINE_MAX + b"in w 6.6.6.6\n")
    say(myescd, b"in w 192.0.2.3\n")
    other = output("myescd")
    say(other, b"in w 192.0.2.4\n")
    # what ends with its program may lack its end
    say(other, b"in w 6.6.6.7")
    other.stdin.close()
    wait_count("custom cut-piece", 4)
    lab.marker()
    # killed between a cut and what is behind it, and the other way round
    say(myescd, b"x\0")
    wait_count("custom cut-piece", 5)
    lab.kill_collector()
    lab.start_collector()
    say(myescd, b"in w 6.6.6.8\n")
    wait_count("custom cut-piece", 6)
    lab.kill_collector()
    say(myescd, b"y\0")
    say(myescd, b"in w 6.6.6.9\n")
    say(myescd, b"in w 192.0.2.5\n")
    lab.start_collector()
    wait_for(lambda: rows("SELECT 1 FROM login WHERE client = '192.0.2.5'"),
             "the last login")
    for child in (stalwart, mypopd, myescd):
        child.stdin.close()
    wait_count("custom cut-piece", 8)


# --- a unit that logs more than journald takes ---

def flood(lab):
    """Only units are limited; root may name one for an output."""
    program = pathlib.Path("/opt/myescd")
    shutil.copy("/usr/bin/cat", program)

    def connect():
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(RUN / "systemd/journal/stdout"))
        s.sendall(b"myescd\nmyescd.service\n6\n0\n0\n0\n0\n")
        os.dup2(s.fileno(), 1)

    child = lab.spawn(program, stdin=subprocess.PIPE, preexec_fn=connect)

    def say(text):
        child.stdin.write(text)
        child.stdin.flush()

    def told():
        say(b"hello\n")
        return counts().get("custom dropped")

    say(b"in w 192.0.2.1\n")
    wait_for(lambda: rows("SELECT 1 FROM login WHERE client = '192.0.2.1'"),
             "a login of the unit")
    say(b"hello\n" * 2000)
    wait_for(told, "journald's word")
    child.stdin.close()
    lab.marker()


def export():
    """The same entries as another program may be handed them."""
    done = subprocess.run(["journalctl", "--directory=/run/log/journal", "-o",
                           "json", "--all"], check=True, capture_output=True)
    return done.stdout.decode("utf-8", "surrogateescape")


def main():
    build, what = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    # whatever happens here, nothing stays
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    lab = Lab(build)
    try:
        {"nginx": nginx, "dovecot": dovecot, "lines": lines,
         "flood": flood}[what](lab)
        result = json.loads(dump())
        each = subprocess.run(
            [build / "popgatectl", "-c", "/run/popgate.conf", "replay",
             "--each", "--reason", "-"], input=export(), text=True,
            errors="surrogateescape", capture_output=True)
        result["replay"] = each.stdout.splitlines()
        result["replay_error"] = each.stderr
        for name in ("status", "doctor"):
            done = subprocess.run(
                [build / "popgatectl", "-c", "/run/popgate.conf", name],
                text=True, capture_output=True)
            result[name] = done.stdout + done.stderr
    finally:
        lab.stop()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
