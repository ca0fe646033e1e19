# SPDX-License-Identifier: ISC
"""ctl/stage: a private copy of a Postfix answers as the real one would, and
nothing of the machine is touched, whatever happens."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import pytest

from lab.process import need, unprivileged
from lab.site import BUILD, TOP
from lab.stage import SHELL, Installed, Stage, alive, descendants
from lab.tls import self_signed

STRANGER, FRIEND, OTHER = "203.0.113.5", "203.0.113.6", "2001:db8:1::5"
OURS, FOREIGN = "someone@example.org", "someone@other.test"
WORDS = "check your mail by POP3 or IMAP first"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def installed():
    # smtpd must get there: every pytest that starts on the machine closes
    # the directory that holds all tmp_path to other users
    root = pathlib.Path(tempfile.mkdtemp(prefix="stage-"))
    root.chmod(0o711)
    path = root / "mta"
    path.mkdir()

    def make(**changes):
        made = Installed(path, **changes)
        made.before = made.snapshot()
        return made
    yield make
    shutil.rmtree(root)


def promises(stage, service):
    """popgate's promises, on one service."""
    code, text = stage.say(STRANGER, service, FOREIGN)
    assert code == 550 and WORDS in text
    assert stage.say(STRANGER, service, OURS)[0] == 250
    stage.login(FRIEND)
    assert stage.say(FRIEND, service, FOREIGN)[0] == 250


def mounts():
    """Of the machine; not what other tests mount in directories of their own
    meanwhile."""
    return [line for line in
            pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
            if "/pytest-of-" not in line]


def test_stock_debian(installed):
    """chroot y, as Debian has it: the promises, recorded; and popgate dead is
    closed, while nothing on the machine has changed."""
    made = installed()
    mounted = mounts()
    with Stage(made.etc, made.conf) as stage:
        promises(stage, "smtp/inet")
        code, text = stage.say(OTHER, "25", FOREIGN)
        assert code == 550 and WORDS in text and OTHER in text
        assert stage.say(OTHER, "smtp", OURS)[0] == 250
        kinds = {(d["client"], d["verdict"], d["reason"])
                 for d in stage.decisions(6)}
        assert (STRANGER, "reject", "no-login") in kinds
        assert (FRIEND, "accept", "recent-login") in kinds
        assert (STRANGER, "accept", "local-recipient") in kinds
        stage.popgate(False)
        assert stage.say(FRIEND, "smtp", FOREIGN)[0] // 100 in (4, 5)
        stage.popgate(True)
        assert stage.say(FRIEND, "smtp", FOREIGN)[0] == 250
        assert "NOQUEUE: reject: RCPT from " in stage.log()
        stage.members |= descendants(stage.child.pid)
        assert len(alive(stage.members)) > 4
    stage.wait_gone()
    assert made.snapshot() == made.before
    assert mounts() == mounted
    assert not os.path.exists("/run/popgate-stage")


SERVICES = """
smtpd pass - - y - - smtpd
dnsblog unix - - y - 0 dnsblog
tlsproxy unix - - y - 0 tlsproxy
submission inet n - y - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_tls_auth_only=yes
  -o smtpd_sasl_auth_enable=yes
smtps inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
127.0.0.1:10025 inet n - n - - smtpd
  -o smtpd_milters=
2525 inet n - y - - smtpd
  -o smtpd_proxy_filter=127.0.0.1:10026
"""

MORE = """\
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_tls_chain_files = {certificate}
smtpd_tls_security_level = may
postscreen_greet_wait = 1s
postscreen_greet_action = enforce
maillog_file = {log}/maillog
maillog_file_prefixes = {log}
smtpd_client_restrictions = permit_mynetworks, reject_unknown_client_hostname,
    reject_rbl_client zen.example.net
smtpd_helo_restrictions = reject_unknown_helo_hostname
smtpd_sender_restrictions = reject_unknown_sender_domain,
    reject_rhsbl_sender dbl.example.net
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:10023,
    check_policy_service {{ unix:private/greylist, timeout=10s }}
smtpd_milters = inet:rspamd:11332, unix:opendkim/opendkim.sock,
    unix:popgate/milter.sock
"""


def test_everything_around(installed, tmp_path):
    """postscreen, submission, smtps, filters, a log of its own, and servers
    that aren't there: each is answered as if they were, and asked."""
    certificate = tmp_path / "certificate.pem"
    self_signed(certificate, "/CN=mx.example.org")
    log = tmp_path / "log"
    log.mkdir()
    made = installed(
        more=MORE.format(certificate=certificate, log=log),
        services=SERVICES,
        replace=[("smtp      inet  n       -       y       -       -       smtpd",
                  "smtp inet n - y - 1 postscreen")])
    with Stage(made.etc, made.conf) as stage:
        for service in ("smtp", "submission", "465", "127.0.0.1:10025",
                        "2525/inet"):
            promises(stage, service)
        for service in ("587", "smtps"):
            assert stage.say(STRANGER, service, FOREIGN, "joe")[0] == 250
            assert stage.say(
                STRANGER, service, FOREIGN, "joe", "wrong")[0] == 535
        for address in ("inet:rspamd:11332", "unix:opendkim/opendkim.sock",
                        "inet:127.0.0.1:10023", "unix:private/greylist",
                        "private/auth", "inet:127.0.0.1:10026"):
            assert stage.asked(address) > 0, address
        assert stage.asked("unix:private/nobody") == -1
        assert "postfix/submission/smtpd" in stage.log() or \
            "sasl_username=joe" in stage.log()
    stage.wait_gone()
    assert made.snapshot() == made.before
    assert not list(log.iterdir())


# While edits are made, root alone gets to the machine as it is.
FIND = "find /run/popgate-stage -maxdepth 3 -path '*/real/etc'"
ONLY_ROOT = (f'test -n "$({FIND})" && test -z "$(setpriv --reuid=65534 '
             f"--clear-groups {FIND} 2>&1 | grep -v 'Permission denied')\"")


def test_edits_change_the_copy_alone(installed):
    made = installed()
    with Stage(made.etc, made.conf,
               ["postconf", "-c", made.etc, "-e", "mydestination=else.test"],
               ["postconf", "-c", made.etc, "-P",
                "smtp/inet/smtpd_client_restrictions=reject"],
               ["sh", "-c", ONLY_ROOT]) as stage:
        code, text = stage.say(STRANGER, "smtp", OURS)
        assert code == 554 and "Client host rejected" in text
        assert "else.test" in stage.run("postconf", "-c", made.etc,
                                        "mydestination")
    assert made.snapshot() == made.before


def test_a_copy_has_its_own_limits(installed):
    """Also where main.cf or a service has others: a message with a few more
    Received lines is never taken, and nobody is told of it."""
    made = installed(
        more="hopcount_limit = 1000\nnotify_classes = bounce\n",
        services="10025 inet n - n - - smtpd\n"
                 "  -o hopcount_limit=1000 -o notify_classes=bounce\n")
    with Stage(made.etc, made.conf) as stage:
        for name, value in (("hopcount_limit", "10"), ("notify_classes", "")):
            assert stage.run("postconf", "-c", made.etc, "-h",
                             name).strip() == value
            assert stage.run("postconf", "-c", made.etc, "-P",
                             f"*/*/{name}") == ""
    assert made.snapshot() == made.before


def test_nothing_leaves(installed):
    """Neither by the network nor into a file."""
    made = installed()
    with Stage(made.etc, None) as stage:
        reach = ("import socket; s = socket.socket(); s.settimeout(5); "
                 "print(s.connect_ex(('198.51.100.25', 25)))")
        assert stage.run("python3", "-c", reach).strip() == "101"
        for path in (made.root, made.etc.parent, "/etc", "/var/lib", "/tmp"):
            assert "Read-only" in stage.complain("run", "touch",
                                                 f"{path}/new-file")
    assert made.snapshot() == made.before


# Attacks of root on the machine from inside: mounts, kernel settings, disks,
# sockets of what runs there, other processes, the network.
ATTACKS = """
mount -o remount,rw / && echo remounted
mount -t tmpfs x /mnt && echo mounted
unshare -m true && echo namespace
nsenter -t 1 -a true && echo entered
test -w /proc/sys/kernel/core_pattern && echo core_pattern
test -w /proc/sysrq-trigger && echo sysrq
mknod /run/disk b 8 0 && echo mknod
ls -A /run/popgate-stage/behind/real | grep . && echo real
ip address add 192.0.2.99/32 dev lo && echo network
kill -CONT $(($$ + 100000)) && echo process
head -c1 /proc/1/mem && echo memory
grep -q "^Max processes *2000 " /proc/self/limits || echo processes
grep -qx 1000 /proc/self/oom_score_adj || echo oom
true
"""


def test_root_inside_is_nobody_outside(installed, tmp_path):
    made = installed()
    attacks = tmp_path / "attacks"
    attacks.write_text(ATTACKS)
    with Stage(made.etc, made.conf) as stage:
        assert stage.run("sh", attacks) == ""


def test_only_roots_configuration(installed):
    """Else whoever owns it names what root runs."""
    made = installed()
    for path, mode, owner in ((made.etc / "main.cf", 0o644, "nobody"),
                              (made.etc / "master.cf", 0o646, "root"),
                              (made.etc, 0o757, "root"),
                              (made.root, 0o755, "nobody")):
        before = path.stat()
        path.chmod(mode)
        shutil.chown(path, owner)
        error = refused(Stage(made.etc, made.conf))
        assert f"{path} doesn't belong to root" in error
        path.chmod(before.st_mode & 0o7777)
        shutil.chown(path, "root")


def test_killed(installed):
    """kill -9: the kernel ends and removes everything."""
    made = installed()
    stage = Stage(made.etc, made.conf)
    assert stage.opened == {}
    promises(stage, "smtp")
    stage.members = descendants(stage.child.pid)
    assert len(alive(stage.members)) > 4
    mounted = mounts()
    stage.child.send_signal(signal.SIGKILL)
    stage.child.wait()
    stage.wait_gone()
    assert made.snapshot() == made.before
    assert mounts() == mounted and "popgate-stage" not in str(mounted)


def test_two_at_once(installed):
    made = installed()
    with Stage(made.etc, made.conf) as one, Stage(made.etc, made.conf) as two:
        one.login(FRIEND)
        assert one.say(FRIEND, "smtp", FOREIGN)[0] == 250
        assert two.say(FRIEND, "smtp", FOREIGN)[0] == 550
        two.popgate(False)
        assert one.say(FRIEND, "smtp", FOREIGN)[0] == 250
    assert made.snapshot() == made.before


def refused(stage):
    assert stage.child.wait() == 0
    assert not descendants(stage.child.pid)
    return stage.opened["error"]


def test_it_says_why(installed, tmp_path):
    """A configuration that Postfix refuses, one whose smtpd dies, and a
    service that isn't there."""
    made = installed(more="smtpd_relay_restrictions = permit_mynetworks\n")
    error = refused(Stage(tmp_path, made.conf))
    assert "main.cf" in error
    with Stage(made.etc, made.conf) as stage:
        error = stage.complain("say", STRANGER, "smtp", "a@b.test", OURS)
        assert "smtpd_relay_restrictions" in error
        error = stage.complain("say", STRANGER, "26", "a@b.test", OURS)
        assert "master.cf" in error and "26" in error
    error = refused(Stage(made.etc, made.conf,
                          ["postconf", "-c", made.etc, "-e",
                           "inet_interfaces=192.0.2.77"]))
    assert "192.0.2.77" in error
    error = refused(Stage(made.etc, made.conf, ["false"]))
    assert "false" in error
    assert made.snapshot() == made.before


def test_without_root(installed):
    made = installed()
    error = refused(Stage(made.etc, None, **unprivileged(SHELL)))
    assert "root" in error


def test_popgate_that_cannot_start(installed):
    made = installed()
    made.conf.write_text(made.conf.read_text().replace(
        f"postfix:{made.root}/etc", "file:/nonexistent"))
    error = refused(Stage(made.etc, made.conf))
    assert "/nonexistent" in error


SENDMAIL_MC = """\
divert(-1)
include(`{package}/usr/share/sendmail/cf/m4/cf.m4')
divert(0)dnl
OSTYPE(`linux')
define(`confDOMAIN_NAME', `mx.example.org')
define(`confPID_FILE', `/run/sendmail/mta/sendmail.pid')
define(`QUEUE_DIR', `{root}/mqueue')
define(`STATUS_FILE', `{root}/statistics')
define(`ALIAS_FILE', `')
define(`confBAD_RCPT_THROTTLE', `0')
define(`confQUEUE_LA', `1000000')
define(`confREFUSE_LA', `1000000')
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')
FEATURE(`nouucp', `nospecial')
FEATURE(`no_default_msa')
DAEMON_OPTIONS(`Family=inet, Name=MTA-v4, Port=smtp')
DAEMON_OPTIONS(`Family=inet, Name=MSP-v4, Port=submission')
INPUT_MAIL_FILTER(`opendkim', `S=inet:8891@localhost, F=T')
LOCAL_DOMAIN(`example.org')
MAILER(`local')
MAILER(`smtp')
{wiring}
"""

SENDMAIL_CONFIG = """\
milter: {{ listen = "unix:/run/popgate/milter.sock"; }};
permit: {{ socketmap = "unix:/run/popgate/socketmap.sock"; }};
relay: {{ local_domains = [ "example.org" ]; }};
"""


def test_sendmail(tmp_path):
    package = BUILD / "sendmail"
    program = need(package / "usr/libexec/sendmail/sendmail",
                   "sendmail-bin in build/sendmail")
    (tmp_path / "mqueue").mkdir(mode=0o700)
    (tmp_path / "mqueue/qfABC").write_text("a mail of somebody")
    conf = tmp_path / "popgate.conf"
    conf.write_text(SENDMAIL_CONFIG.format())
    cf = tmp_path / "sendmail.cf"
    made = subprocess.run(
        ["m4", f"-D_CF_DIR_={package}/usr/share/sendmail/cf/"],
        input=SENDMAIL_MC.format(
            package=package, root=tmp_path,
            wiring=(TOP / "etc/sendmail/closed.m4").read_text()),
        capture_output=True, text=True, check=True)
    cf.write_text(made.stdout)
    before = sorted(tmp_path.rglob("*"))
    with Stage(cf, conf, mta="sendmail",
               env={**os.environ, "STAGE_PROGRAM": program,
                    "STAGE_MILTER": str(BUILD / "popgate-milter")}) as stage:
        for service in ("25", "MSP-v4"):
            code, text = stage.say(STRANGER, service, FOREIGN)
            assert code == 550 and WORDS in text
            assert stage.say(STRANGER, service, "root@example.org")[0] == 250
        stage.login(FRIEND)
        assert stage.say(FRIEND, "smtp", FOREIGN)[0] == 250
        assert stage.asked("inet:localhost:8891") > 0
        stage.popgate(False)
        assert stage.say(FRIEND, "smtp", FOREIGN)[0] // 100 in (4, 5)
        error = stage.complain("say", STRANGER, "26", "a@b.test", OURS)
        assert "26" in error
    stage.wait_gone()
    assert sorted(tmp_path.rglob("*")) == before


def test_lookup_tables(installed, tmp_path):
    """The SQL server of this machine is asked by the copy, too, by TCP and by
    its socket; what isn't named by a table isn't reached."""
    made = installed(
        more=f"smtp_generic_maps = proxy:mysql:{tmp_path}/table.cf\n")
    (tmp_path / "ask.py").write_text(ASK)
    path = tmp_path / "sql" / "server.sock"
    path.parent.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as tcp, \
            socket.create_server(("127.0.0.1", 0)) as other, \
            socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        port, closed = tcp.getsockname()[1], other.getsockname()[1]
        (tmp_path / "table.cf").write_text(
            f"# to the server\nuser = mail\nhosts = 127.0.0.1:{port} "
            f"unix:{path}\nquery = SELECT 1\n")
        for server in (tcp, unix):
            threading.Thread(target=echo, args=[server], daemon=True).start()
        with Stage(made.etc, made.conf) as stage:
            asked = [stage.run("python3", tmp_path / "ask.py", *where) for where in (
                ["127.0.0.1", port], [path], ["127.0.0.1", port])]
            assert asked == ["you said hello" + "x" * 100000] * 3
            assert "refused" in stage.run(
                "python3", tmp_path / "ask.py", "127.0.0.1", closed)
        stage.wait_gone()


ASK = """
import socket, sys
where = sys.argv[1] if len(sys.argv) == 2 else (sys.argv[1], int(sys.argv[2]))
s = socket.socket(socket.AF_UNIX if len(sys.argv) == 2 else socket.AF_INET)
try:
    s.connect(where)
except OSError as error:
    print(error)
    sys.exit()
s.sendall(b'hello' + b'x' * 100000 + b'\\n')
print(s.makefile().read(), end='')
"""


def echo(server):
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client, client.makefile("rwb") as lines:
            lines.write(b"you said " + lines.readline().rstrip())
