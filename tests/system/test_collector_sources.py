# SPDX-License-Identifier: ISC
"""popgate-collector reads standard input, sockets, the journal, and what syslog
daemons write."""
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from lab.box import COLLECTOR, CTL, CollectorBox, is_root, login, stamp
from lab.process import PATIENCE, wait_for


def test_stdin(site):
    site.configure('{ stdin = true; }')
    daemon = site.start(stdin=subprocess.PIPE)
    daemon.stdin.write(login('192.0.2.1').encode())
    daemon.stdin.flush()
    wait_for(site.clients)
    # as omprog's template %syslogtag%%msg% gives it
    daemon.stdin.write(login('192.0.2.2', head='').encode() +
                       login('192.0.2.3').encode()[:-1])
    daemon.stdin.close()
    assert daemon.wait(120) == 0
    # the last has no newline: not a whole line
    assert site.clients() == {'192.0.2.1', '192.0.2.2'}
    done = subprocess.run([COLLECTOR, '-c', site.conf], text=True,
                          input=login('192.0.2.4') * 10000, timeout=120,
                          stderr=subprocess.DEVNULL)
    assert done.returncode == 0
    assert len(site.query('SELECT 1 FROM login_event')) == 10002


def test_socket(site):
    path = site.path / 'in.sock'
    site.configure(f'{{ socket = "{path}"; }}')
    daemon = site.start()
    assert path.stat().st_mode & 0o777 == 0o660
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(str(path))
        s.send(b'<22>' + login('192.0.2.1').encode())
        s.send(login('192.0.2.2', head='').encode() + b'\0')
        s.send(b'')
        s.send(b'x' * 20000)
        # one datagram is one line, whatever is in it
        s.send(b'<22>Mar  3 08:01:11 mail x: y\n' +
               login('6.6.6.6').encode())
        for i in range(3, 100):
            s.send(b'<22>' + login(f'192.0.2.{i}').encode())
    wait_for(lambda: len(site.clients()) >= 99)
    assert '6.6.6.6' not in site.clients()
    # as syslog(3) of glibc and of musl writes to /dev/log: no host
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(str(path))
        s.send(b'<22>' + login('192.0.2.101', head=f'{stamp()} ').encode())
        s.send(b'<22>' + login('192.0.2.102', head='').encode())
    wait_for(lambda: {'192.0.2.101', '192.0.2.102'} <= site.clients())
    # a second one must not steal the path; a dead one's path is taken over
    (site.path / 'other').mkdir()
    other = CollectorBox(site.path / 'other')
    other.configure(f'{{ socket = "{path}"; }}')
    second = other.start()
    wait_for(lambda: 'another process reads there' in other.said())
    second.kill()
    daemon.kill()
    daemon.wait()
    assert path.exists()
    daemon = site.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(str(path))
        s.send(login('192.0.2.200').encode())
    wait_for(lambda: '192.0.2.200' in site.clients())
    site.stop(daemon)
    assert not path.exists()


def tell(site, *args, uid=None, user='alice', client='192.0.2.1'):
    """popgatectl login, as another user; through a copy that he may run."""
    program = CTL
    words = [program, 'login', '--user', user, '--client', client, *args]
    if '--socket' not in args:
        words[1:1] = ['-c', site.conf]
    kwargs = {}
    if uid is not None:
        kwargs = {'user': uid, 'group': uid, 'extra_groups': []}
    return subprocess.run(words, text=True, capture_output=True, timeout=120,
                          **kwargs)


def test_login_told(site):
    path = site.path / 'login.sock'
    site.configure(f'{{ login = "{path}"; }}',
                   relay='never_authorize = [ "127.0.0.0/8" ]; '
                   'ipv6_prefix = 64; proxy_networks = [ "203.0.113.7" ];',
                   collector='login_users = [ "daemon" ];')
    done = tell(site)
    assert done.returncode == os.EX_UNAVAILABLE, done.stderr
    daemon = site.start()
    assert path.stat().st_mode & 0o777 == 0o666
    me = os.geteuid()
    if me == 0:
        done = tell(site)
        assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
        done = tell(site, '--socket', str(path), '--service', 'pop3',
                    '--server', 'dovecot', client='::ffff:192.0.2.2')
        assert done.returncode == 0, done.stderr
        done = tell(site, client='2001:db8:1:2::9', user='b>\x1b, rip=6.6.6.6')
        assert done.returncode == 0, done.stderr
        wait_for(lambda: len(site.clients()) == 3)
        assert site.clients() == {'192.0.2.1', '192.0.2.2',
                                  '2001:db8:1:2::/64'}
        row, = site.query("SELECT client, user, service, server, source, "
                          "line FROM login_event WHERE client = '192.0.2.2'")
        assert row[:5] == ('192.0.2.2', 'alice', 'pop3', 'dovecot',
                           f'login:{path}')
        assert re.fullmatch(r'post-login: user=<alice>, client=192\.0\.2\.2, '
                            r'service=pop3, server=dovecot, told by uid 0 '
                            r'pid \d+', row[5])
        assert site.query('SELECT server FROM login WHERE client = '
                          "'192.0.2.1'") == [('post-login',)]
        # the rules of any login
        for client, why in (('127.0.0.1', 'never-authorize'),
                            ('203.0.113.7', 'proxy')):
            done = tell(site, client=client)
            assert (done.returncode, done.stdout, done.stderr) == \
                (1, f'not counted: {why}\n', '')
        done = tell(site, user='anonymous')
        assert done.stdout == 'not counted: anonymous\n'
    for args in (('--server', 'a b'), ('--service', 'smtp'),
                 ('--wait', '-1')):
        assert tell(site, *args).returncode == os.EX_USAGE
    assert tell(site, client='mail.test').returncode == os.EX_USAGE
    assert tell(site, user='').returncode == os.EX_USAGE
    assert tell(site, user='x' * 2000).returncode == os.EX_DATAERR
    # rubbish, of all sizes, with descriptors, and without an address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(str(path))
        for data in (b'', b'\0', b'x' * 5000, b'popgate-login-1',
                     b'popgate-login-1\0a\0b\0c\0d\0e\0',
                     login('6.6.6.6').encode()):
            s.send(data)
            socket.send_fds(s, [data or b'-'], [0, 1, 2])
    wait_for(lambda: len(list(Path(f'/proc/{daemon.pid}/fd').iterdir())) < 20)
    wait_for(lambda: me != 0 or site.counts().get(
        ('post-login', 'no-prefix')) == 12, lambda: site.counts())
    assert '6.6.6.6' not in ' '.join(site.clients())
    site.stop(daemon)
    assert not path.exists()


@is_root
def test_login_told_by_whom():
    """Anybody may write to the socket; the kernel says who he is."""
    with tempfile.TemporaryDirectory() as name:     # pytest's are closed
        site = CollectorBox(Path(name))
        try:
            site.path.chmod(0o755)
            login_told_by_whom(site)
        finally:
            site.close()


def login_told_by_whom(site):
    path = site.path / 'login.sock'
    source = f'{{ login = "{path}"; }}'
    allowed = pwd.getpwnam('daemon').pw_uid
    nobody = pwd.getpwnam('nobody').pw_uid
    shutil.copy(CTL, site.path / 'ctl')

    def say(uid, client):
        return subprocess.run(
            [site.path / 'ctl', '-c', site.conf, 'login', '--user', 'u',
             '--client', client], text=True, capture_output=True, user=uid,
            group=uid, extra_groups=[], timeout=120)
    site.configure(source, collector='login_users = [ "daemon" ];')
    daemon = site.start()
    assert say(allowed, '192.0.2.1').returncode == 0
    for uid in (2, 1000, nobody):
        done = say(uid, f'6.6.6.{uid % 250}')
        assert done.returncode == os.EX_NOPERM, done.stderr
        assert 'login_users' in done.stderr
    # credentials of one's own making need a privilege
    forged = subprocess.run([sys.executable, '-c', """
import socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(sys.argv[1])
message = b'popgate-login-1\\0u\\x006.6.6.6\\0imap\\0x\\0'
try:
    s.sendmsg([message], [(socket.SOL_SOCKET, 2,
               struct.pack('iII', 1, 0, 0))])
except PermissionError:
    s.send(message)
    sys.exit(42)
""", str(path)], user=1000, group=1000, extra_groups=[], cwd='/')
    assert forged.returncode == 42
    wait_for(lambda: '192.0.2.1' in site.clients())
    # he is asked at most once: the list is read again
    site.configure(source)
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: 'in force' in site.said())
    assert say(allowed, '6.6.6.7').returncode == os.EX_NOPERM
    site.stop(daemon)
    assert site.clients() == {'192.0.2.1'}
    assert site.counts()['post-login', 'forged'] == 5
    assert site.said().count('login_users') == 1
    # nobody reads: at once; somebody who is asleep: not for long
    assert say(allowed, '192.0.2.1').returncode == os.EX_UNAVAILABLE
    site.configure(source, collector='login_users = [ "daemon" ];')
    daemon = site.start()
    daemon.send_signal(signal.SIGSTOP)
    assert say(allowed, '192.0.2.9').returncode == os.EX_TEMPFAIL
    # what was told is not lost for that
    daemon.send_signal(signal.SIGCONT)
    wait_for(lambda: '192.0.2.9' in site.clients())


@pytest.mark.parametrize('users, why', [
    ('[ "no-such-user-here" ]', 'login_users'), ('[ "nobody" ]', 'nobody'),
    ('"root"', 'a list of strings')])
def test_login_users_are_checked(site, users, why):
    site.configure(collector=f'login_users = {users};')
    assert site.launch(COLLECTOR, '-t').wait(PATIENCE) == os.EX_CONFIG
    assert why in site.said()
    done = subprocess.run([CTL, '-c', site.conf, 'check-config'],
                          capture_output=True, text=True)
    assert done.returncode == os.EX_CONFIG and why in done.stderr


@pytest.mark.skipif(shutil.which('rsyslogd', path='/usr/sbin:/usr/bin') is
                    None, reason='needs rsyslog')
def test_rsyslog(site):
    """The real one: both file forms, its socket and its program output."""
    old, new = site.path / 'mail.log', site.path / 'new.log'
    sock, pipe = site.path / 'in.sock', site.path / 'pipe.conf'
    dev = site.path / 'dev-log'
    (site.path / 'third').mkdir()
    third = CollectorBox(site.path / 'third')
    third.configure('{ stdin = true; }')
    site.configure(f'{{ file = "{old}"; }}, {{ file = "{new}"; }}, '
                   f'{{ socket = "{sock}"; }}')
    site.start()
    wrapper = site.path / 'run'
    wrapper.write_text(f'#!/bin/sh\nexec {COLLECTOR} -c {third.conf}\n')
    wrapper.chmod(0o755)
    pipe.write_text(f'''
module(load="imuxsock" SysSock.Use="off")
module(load="omuxsock")
module(load="omprog")
$OMUxSockSocket {sock}
input(type="imuxsock" Socket="{dev}" RateLimit.Interval="0"
      UseSysTimeStamp="off")
action(type="omfile" file="{old}" template="RSYSLOG_TraditionalFileFormat")
action(type="omfile" file="{new}" template="RSYSLOG_FileFormat")
*.* :omuxsock:;RSYSLOG_TraditionalForwardFormat
action(type="omprog" binary="{wrapper}"
       template="RSYSLOG_TraditionalFileFormat")
''')
    rsyslog = subprocess.Popen(
        ['rsyslogd', '-n', '-f', pipe, '-i', site.path / 'rsyslog.pid'],
        env={**os.environ, 'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'})
    try:
        wait_for(dev.exists)
        time.sleep(0.3)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.connect(str(dev))
            for i in range(20):
                s.send(f'<22>{stamp()} dovecot: imap-login: Login: user=<u>, '
                       f'method=PLAIN, rip=192.0.2.{i}, lip=192.0.2.250, '
                       f'mpid=1, session=<s>'.encode())
                # what a client sends can't become a line of its own
                s.send(f'<22>{stamp()} dovecot: imap-login: Aborted login: '
                       f'user=<x>\n{login("6.6.6.6")}'.encode())
        want = {f'192.0.2.{i}' for i in range(20)}
        wait_for(lambda: site.query('SELECT client FROM login WHERE count = 3 '
                                 'ORDER BY client') ==
              [(client,) for client in sorted(want)],
              lambda: site.query('SELECT client, count FROM login'))
        assert site.clients() == want
        wait_for(lambda: third.clients() == want)
        # rotated as logrotate does it, with its HUP
        old.rename(site.path / 'mail.log.1')
        rsyslog.send_signal(signal.SIGHUP)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.connect(str(dev))
            s.send(f'<22>{stamp()} dovecot: imap-login: Login: user=<u>, '
                   f'method=PLAIN, rip=192.0.2.99, lip=192.0.2.250, mpid=1, '
                   f'session=<s>'.encode())
        wait_for(lambda: site.query('SELECT count FROM login WHERE client = '
                                 "'192.0.2.99'") == [(3,)])
    finally:
        rsyslog.terminate()
        rsyslog.wait(120)


JOURNAL = r'''
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal/$(cat /etc/machine-id)
# executables with the right names: where packages put them, and where not
mkdir -p /opt /run/www
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir /opt/staff /opt/own /opt/file
for name in /opt/dovecot /opt/popa3d /opt/mypopd /run/www/imapd \
    /run/www/mypopd /opt/staff/mypopd /opt/own/mypopd /opt/file/mypopd; do
	cp /usr/bin/logger $name
done
# of those, whom others could have written
chgrp staff /opt/staff
chmod 2775 /opt/staff
chown 33 /opt/own
chown 33 /opt/file/mypopd
cat > /run/popgate.conf <<E
logins: { database = "/run/logins.db"; };
relay: { never_authorize = [ ]; collector_grace = "4s"; };
collector: { user = "root"; sources = ( { journal = "system"; } );
  servers = [ "all", "popa3d" ];
  custom = ( { program = "mypopd"; pattern = "^in (?<user>.) (?<ip>.*)$"; },
    { program = "mypyd"; pattern = "^in (?<user>.) (?<ip>.*)$";
      unit = "mypyd-$$.service"; } ); };
E
# a unit is a control group of this name
mount -t cgroup2 cgroup2 /sys/fs/cgroup
group=/sys/fs/cgroup/system.slice/mypyd-$$.service
mkdir -p $group
sock=/run/systemd/journal/dev-log
line() {
	echo "imap-login: Login: user=<u>, method=PLAIN, rip=$1," \
	    "lip=198.51.100.5, mpid=4242, TLS, session=<aBcD>"
}
say() { /opt/dovecot -u $sock -t dovecot "$(line $1)"; }
count() {
	sqlite3 -readonly /run/logins.db 'SELECT count(*) FROM login_event' \
	    2> /dev/null || echo 0
}
wait_for() {
	for i in $(seq 300); do
		[ "$(count)" -ge $1 ] && return
		sleep 0.05
	done
	echo "waited in vain for $1 logins, have $(count)"
	exit 1
}
/lib/systemd/systemd-journald > /dev/null 2>&1 & journald=$!
trap 'kill $journald $daemon 2> /dev/null; wait; rmdir $group' EXIT
for i in $(seq 100); do [ -S $sock ] && break; sleep 0.05; done
$1 -c /run/popgate.conf & daemon=$!
say 192.0.2.1
wait_for 1
# others who call themselves dovecot; of one that has ended journald may not
# learn the executable any more, and root needs no other to forge a login
printf '<22>dovecot: %s' "$(line 6.6.6.1)" | python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(sys.stdin.buffer.read(), sys.argv[1])
time.sleep(1)' $sock
setpriv --reuid=1000 --clear-groups /opt/dovecot -u $sock -t dovecot \
    "$(line 6.6.6.2)"
setpriv --reuid=65534 --clear-groups logger -u $sock -t dovecot \
    "$(line 6.6.6.3)"
printf 'SYSLOG_IDENTIFIER=dovecot\nMESSAGE=x\nMESSAGE=%s\n' \
    "$(line 6.6.6.4)" | python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(sys.stdin.buffer.read(), "/run/systemd/journal/socket")'
# a user of the system, as a web server's is; he waits, so that it is known
# what he runs; only what is where packages put it counts, or a unit
as_www() {
	{ echo "$3"; sleep 0.5; } |
	    setpriv --reuid=33 --clear-groups $1 -u $sock -t $2
}
courier() { echo "LOGIN, user=w, ip=[$1], port=[1], protocol=IMAP"; }
as_www /run/www/imapd imapd "$(courier 6.6.6.5)"
as_www /run/www/mypopd mypopd "in w 6.6.6.6"
as_www /usr/bin/logger mypopd "in w 6.6.6.7"
as_www /usr/bin/logger mypyd "in w 6.6.6.8"
as_www /opt/staff/mypopd mypopd "in w 6.6.6.9"
as_www /opt/own/mypopd mypopd "in w 6.6.6.10"
as_www /opt/file/mypopd mypopd "in w 6.6.6.11"
as_www /opt/mypopd mypopd "in w 192.0.2.2"
wait_for 2
(
	echo $BASHPID > $group/cgroup.procs
	as_www /usr/bin/logger mypyd "in w 192.0.2.3"
)
wait_for 3
# the first line of two, long before the second
pop() { /opt/popa3d -u $sock -t 'popa3d[7]' "$1"; }
pop "Session from 192.0.2.4"
sleep 2.5
# killed and started again, with entries between
for round in 1 2 3 4 5; do
	say 192.0.2.1$round
	kill -9 $daemon
	wait $daemon 2> /dev/null || true
	say 192.0.2.2$round
	$1 -c /run/popgate.conf & daemon=$!
	say 192.0.2.3$round
	wait_for $((3 + 3 * round))
done
pop "Authentication passed for jana"
wait_for 19
sleep 2.5
kill $daemon
wait $daemon
daemon=
sqlite3 -readonly /run/logins.db "
SELECT 'login', client, count FROM login;
SELECT 'count', server, reason, lines FROM source_count;
SELECT 'event', line FROM login_event LIMIT 1"
'''


NO_JOURNAL = r'''
set -e
mount -t tmpfs tmpfs /run
[ ! -d /var/log/journal ] || mount -t tmpfs tmpfs /var/log/journal
cat > /run/popgate.conf <<E
logins: { database = "/run/logins.db"; };
relay: { never_authorize = [ ]; collector_grace = "1s"; };
collector: { user = "root"; sources = ( { journal = "system"; } ); };
E
$1 -c /run/popgate.conf & daemon=$!
sleep 3.5
sqlite3 -readonly /run/logins.db 'SELECT read_at FROM source'
$2 -c /run/popgate.conf check --client 192.0.2.1 --to x@example.net
kill $daemon
wait $daemon
'''


@is_root
def test_no_journal():
    """Where there is none, nothing is known: no lasting no."""
    done = subprocess.run(['unshare', '-m', 'bash', '-c', NO_JOURNAL, 'bash',
                           COLLECTOR, CTL],
                          text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith('0\n')
    assert 'collector-behind' in done.stdout
    assert done.stderr.count('journal: there is none') == 1


@is_root
@pytest.mark.skipif(not Path('/lib/systemd/systemd-journald').exists(),
                    reason='needs systemd-journald')
def test_journal(tmp_path):
    """A real journald, in a mount namespace with a /run of its own."""
    done = subprocess.run(['unshare', '-m', 'bash', '-c', JOURNAL, 'bash',
                           COLLECTOR], text=True, capture_output=True,
                          timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split('|') for line in done.stdout.splitlines()]
    logins = {row[1]: row[2] for row in rows if row[0] == 'login'}
    want = [f'192.0.2.{i}' for i in (1, 2, 3, 4)] + \
        [f'192.0.2.{i}{j}' for i in (1, 2, 3) for j in range(1, 6)]
    assert logins == {client: '1' for client in want}
    counts = {(row[1], row[2]): int(row[3]) for row in rows
              if row[0] == 'count'}
    # up to a heartbeat of counting may be lost when it is killed
    assert 1 <= counts['dovecot', 'login'] <= len(want)
    assert counts['dovecot', 'forged'] == 4
    assert counts['imapd', 'forged'] == 1
    assert counts['mypopd', 'forged'] == 5
    assert counts['mypyd', 'forged'] == 1
    event = [row[1] for row in rows if row[0] == 'event'][0]
    assert re.match(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ '
                    r'dovecot\[\d+\]: imap-login: Login: ', event), event
