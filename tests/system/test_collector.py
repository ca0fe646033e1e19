"""popgate-collector as a process: sources, batching, heartbeat, options,
signals, and a database that is not always there."""
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from lab.box import COLLECTOR, CTL, CollectorBox, is_root, login, stamp
from lab.process import wait_for

NOISE = 'mail postfix/smtpd[11]: connect from x.example.net[203.0.113.9]\n'


# --- options ---

def run(*args):
    return subprocess.run([COLLECTOR, *args], text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=120)


def test_version_and_help():
    done = run('--version')
    assert done.returncode == 0
    assert re.fullmatch(r'popgate-collector \d+\.\d+\.\d+ \(SQLite [\d.]+, '
                        r'libconfig [\d.]+, PCRE2 [^)]+\)\n', done.stdout)
    done = run('--help')
    assert done.returncode == 0 and '-t' in done.stdout
    for args in (('-x',), ('file',), ('-l', 'paper'),
                 ('-d', '-l', 'stderr')):
        assert run(*args).returncode == os.EX_USAGE


@pytest.mark.parametrize('collector, why', [
    ('servers = [ "dovecat" ];', 'dovecat'),
    ('custom = ( { program = "p"; pattern = "user (?<user>.*)"; } );',
     'pattern'),
    ('colour = "blue";', 'collector.colour'),
])
def test_check_refuses(site, collector, why):
    site.configure(collector=collector)
    for args in (('-t',), ()):
        done = run('-c', site.conf, *args)
        assert done.returncode == os.EX_CONFIG
        assert why in done.stderr
    assert not site.logins.exists()


def test_check_accepts(site):
    site.configure(collector='servers = [ "all", "popa3d" ]; custom = ( '
                   '{ program = "p"; pattern = '
                   '"^in (?<user>[a-z]+) (?<ip>[0-9.]+)$"; } );')
    done = run('-t', '-c', site.conf)
    assert (done.returncode, done.stderr) == (0, '')
    assert run('-t', '-c', '/nonexistent').returncode != 0


# --- files ---

def test_login_is_visible_at_once(site):
    site.start()
    site.write('')
    took = []
    for i in range(50):
        begin = time.perf_counter()
        site.write(login(f'192.0.2.{i}'))
        wait_for(lambda: f'192.0.2.{i}' in site.clients())
        took.append(time.perf_counter() - begin)
    took.sort()
    # the poll of this test included; the benchmark measures it properly
    assert took[25] < 0.015, took


def test_rows(site):
    now = int(time.time())
    site.start()
    site.write(login('192.0.2.1', at=now - 60) +
               login('::ffff:192.0.2.1', at=now - 30) +
               login('2001:0db8::1', 'bob', at=now - 30))
    wait_for(lambda: len(site.clients()) == 2)
    assert site.query('SELECT * FROM login') == [
        ('192.0.2.1', 'alice', 'imap', 'dovecot', now - 60, now - 30,
         now - 30 + 1800, 2),
        ('2001:db8::1', 'bob', 'imap', 'dovecot', now - 30, now - 30,
         now - 30 + 1800, 1)]
    events = site.query('SELECT at, client, source, position, line FROM '
                        'login_event')
    assert events[0] == (now - 60, '192.0.2.1', f'file:{site.log}', 0,
                         login('192.0.2.1', at=now - 60).rstrip('\n'))
    text = site.log.read_text()
    for event in events:
        assert text[event[3]:].startswith(event[4] + '\n')


def test_old_log_authorises_nobody(site):
    now = int(time.time())
    site.write(login('192.0.2.1', at=now - 7 * 86400) +
               login('192.0.2.2', at=now - 7200) +
               login('192.0.2.3', at=now - 60) +
               login('192.0.2.4', at=now - 20 * 86400))
    site.start()
    wait_for(lambda: '192.0.2.3' in site.clients())
    assert site.query('SELECT client FROM relay_client') == [('192.0.2.3',)]
    # history as far back as it is kept
    assert site.clients() == {f'192.0.2.{i}' for i in (1, 2, 3)}
    # and a line read late takes nothing from a newer login, nor adds to it
    before = site.query("SELECT last_at, expires_at FROM login WHERE "
                        "client = '192.0.2.3'")
    site.write(login('192.0.2.3', at=now - 3600))
    wait_for(lambda: len(site.query('SELECT 1 FROM login_event')) == 4)
    assert before == site.query("SELECT last_at, expires_at FROM login "
                                "WHERE client = '192.0.2.3'")


def test_future_is_clamped(site):
    site.start()
    ahead = time.strftime('%Y-%m-%dT%H:%M:%SZ ',
                          time.gmtime(time.time() + 40000)) + 'mail '
    site.write(login('192.0.2.1', head=ahead) +
               login('192.0.2.2', head=ahead))
    wait_for(lambda: len(site.clients()) == 2)
    expires, = site.query('SELECT max(expires_at) FROM login')[0]
    assert expires <= time.time() + 1800
    assert site.said().count('ahead of this machine') == 1


CLOCK = r'''
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*next)(clockid_t, struct timespec *);
	long ahead = 0;
	FILE *f;

	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
	int rc = next(id, ts);
	if (id == CLOCK_REALTIME && (f = fopen(getenv("AHEAD"), "r")) != NULL) {
		if (fscanf(f, "%ld", &ahead) == 1)
			ts->tv_sec += ahead;
		fclose(f);
	}
	return rc;
}
'''


def test_clock_set_back(site):
    """Logins that were dated by a clock that was ahead."""
    source, ahead = site.path / 'clock.c', site.path / 'ahead'
    source.write_text(CLOCK)
    subprocess.run(['cc', '-shared', '-fPIC', '-o', site.path / 'clock.so',
                    source, '-ldl'], check=True)
    ahead.write_text('86400')
    now = int(time.time())
    env = {**os.environ, 'LD_PRELOAD': str(site.path / 'clock.so'),
           'AHEAD': str(ahead)}
    daemon = site.start(env=env)
    site.write(login('192.0.2.1', at=now + 86400))
    wait_for(site.clients)
    wait_for(lambda: site.source()['line_at'] >= now + 86400)
    assert 'set back' not in site.said()
    new = site.path / 'new'
    new.write_text('0')
    new.rename(ahead)
    wait_for(lambda: 'clock was set back: 1 logins' in site.said())

    def times():
        return site.query('SELECT first_at - ?, last_at - ?, expires_at - ? '
                          'FROM login ORDER BY client', now, now, now)
    (first, last, expires), = times()
    assert 0 <= first <= last < 100 and expires == last + 1800
    wait_for(lambda: site.source()['read_at'] < now + 100)
    assert site.source()['line_at'] < now + 100
    site.stop(daemon)

    # and when it was set back while nobody looked
    db = sqlite3.connect(site.logins)
    with db:
        db.execute('UPDATE login SET last_at = ?, expires_at = ?',
                   (now + 86400, now + 90000))
        db.execute("INSERT INTO login VALUES ('192.0.2.9', '', 'manual', "
                   "'popgatectl', ?, ?, ?, 1)", (now, now, now + 90000))
        db.execute('UPDATE source SET read_at = ?, line_at = ?',
                   (now + 86400, now + 86400))
    db.close()
    status = subprocess.run(
        [CTL, '-c', site.conf, 'status'],
        text=True, capture_output=True).stdout
    assert re.search('WARNING +source file:.*a clock is or was ahead', status)
    site.start()
    wait_for(lambda: site.said().count('clock was set back: 1 logins') == 2)
    (_, last, expires), (_, _, manual) = times()
    assert last < 100 and expires == last + 1800 and manual == 90000
    assert site.source()['line_at'] < now + 100


def test_addresses_that_never_authorise(site):
    mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        mine.connect(('192.0.2.1', 9))
        own = mine.getsockname()[0]
    except OSError:
        own = '127.0.0.1'
    site.configure(relay='proxy_networks = [ "203.0.113.0/24" ];')
    site.start()
    for ip in ('127.0.0.1', '::1', own, '203.0.113.7', '0.0.0.0',
               'fe80::1', '224.0.0.1', '198.18.0.1'):
        site.write(login(ip))
    wait_for(lambda: '198.18.0.1' in site.clients())
    assert site.clients() == {'198.18.0.1'}
    wait_for(lambda: site.counts().get(('dovecot', 'login')) == 1)
    assert site.counts()['dovecot', 'proxy'] == 1
    assert site.counts()['dovecot', 'never-authorize'] >= 5


def test_ipv6_prefix(site):
    site.configure(relay='never_authorize = [ ]; ipv6_prefix = 64;')
    site.start()
    site.write(login('2001:db8:1:2:3:4:5:6') + login('2001:db8:1:2::9') +
               login('192.0.2.1'))
    wait_for(lambda: len(site.clients()) == 2)
    assert site.clients() == {'2001:db8:1:2::/64', '192.0.2.1'}


def test_rubbish_and_endless_lines(site):
    daemon = site.start()
    with site.log.open('wb') as f:
        f.write(b'\0\1\2\xff\r\n\n\n' + bytes(range(256)) * 50 + b'\n')
        for _ in range(100):
            f.write(b'x' * 1000000)
        f.write(b'\n\0\n' + login('192.0.2.1').encode())
    wait_for(lambda: '192.0.2.1' in site.clients(), site.said)
    status = Path(f'/proc/{daemon.pid}/status').read_text()
    assert int(re.search(r'VmHWM:\s+(\d+)', status)[1]) < 64 * 1024
    wait_for(lambda: site.counts().get(('', 'too-long'), 0) >= 1)


def test_rotation(site):
    site.start()
    for i in range(6):
        site.write(login(f'192.0.2.{i}'))
        if i % 2:
            shutil.copyfile(site.log, site.path / f'mail.log.{9 - i}')
            os.truncate(site.log, 0)
        else:
            site.log.rename(site.path / f'mail.log.{9 - i}')
    site.write(login('192.0.2.9'))
    want = {f'192.0.2.{i}' for i in (0, 1, 2, 3, 4, 5, 9)}
    wait_for(lambda: site.clients() == want, lambda: site.clients())
    assert len(site.query('SELECT 1 FROM login_event')) == 7


def test_restart_goes_on(site):
    for i in range(3):
        daemon = site.start()
        site.write(login(f'192.0.2.{i}'))
        wait_for(lambda: f'192.0.2.{i}' in site.clients())
        site.write(NOISE)
        if i < 2:
            time.sleep(0.1)
        else:
            wait_for(lambda: site.source()['position'] ==
                  site.log.stat().st_size)
        site.stop(daemon)
    assert len(site.query('SELECT 1 FROM login_event')) == 3
    assert site.source()['position'] == site.log.stat().st_size


def test_two_line_server_over_a_kill(site):
    """The first line of a session before the kill, the second behind it, and
    between them more lines than anybody reads again, and another file."""
    site.configure(collector='servers = [ "popa3d" ];')
    daemon = site.start()
    site.write(f'{stamp()} mail popa3d[7]: Session from 192.0.2.1\n' +
               f'{stamp()} mail popa3d[8]: Session from 192.0.2.2\n' +
               f'{stamp()} {NOISE}' * 1300)
    wait_for(lambda: site.source()['position'] == site.log.stat().st_size)
    daemon.kill()
    daemon.wait()
    site.log.rename(site.log.with_suffix('.log.1'))
    site.write(f'{stamp()} mail popa3d[7]: Authentication passed for jana\n')
    daemon = site.start()
    wait_for(site.clients)
    daemon.kill()
    daemon.wait()
    # used once: not by the same line again, nor by another process
    site.write(f'{stamp()} mail popa3d[7]: Authentication passed for jana\n' +
               f'{stamp()} mail popa3d[8]: Authentication passed for jim\n')
    site.start()
    wait_for(lambda: len(site.clients()) == 2)
    time.sleep(0.3)
    assert site.query('SELECT client, user, count FROM login') == [
        ('192.0.2.1', 'jana', 1), ('192.0.2.2', 'jim', 1)]


def test_two_line_server_over_a_reload(site):
    site.configure(collector='servers = [ "popa3d" ];')
    daemon = site.start()
    site.write(f'{stamp()} mail popa3d[7]: Session from 192.0.2.1\n')
    wait_for(lambda: site.source()['position'] > 0)
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: 'reload: ' in site.said())
    site.write(f'{stamp()} mail popa3d[7]: Authentication passed for jana\n')
    wait_for(lambda: site.clients() == {'192.0.2.1'})


# --- heartbeat and batching ---

def beats(site):
    before = site.source()['read_at']
    wait_for(lambda: site.source()['read_at'] > before)


def test_heartbeat(site):
    site.write('')
    site.start()
    for _ in range(5):
        beats(site)
    site.write(NOISE * 10)
    wait_for(lambda: site.source()['position'] == len(NOISE) * 10)
    beats(site)


def test_heartbeat_stops_when_unreadable(site):
    site.log.mkdir()
    site.start()
    time.sleep(2.5)
    assert site.source()['read_at'] == 0
    assert site.said().count('no regular file') == 1
    site.log.rmdir()
    site.write('')
    wait_for(lambda: site.source()['read_at'] > 0)


def ctl(site, *args):
    return site.run(*args, code=None)


def asked(site, ip='192.0.2.77'):
    """What a stranger would be told."""
    return ctl(site, 'check', '--client', ip, '--to', 'x@example.net').stdout


def test_log_that_does_not_exist(site):
    """Nothing is known then, so nobody gets a lasting no."""
    site.configure(grace='2s')
    daemon = site.start()
    wait_for(lambda: 'no such file' in site.said())
    time.sleep(2.5)
    assert site.source()['read_at'] == 0
    assert site.said().count('no such file') == 1
    assert 'collector-behind' in asked(site)
    assert 'there is no such file' in ctl(site, 'status').stdout
    # nor whose login has ended: he may have logged in again
    db = sqlite3.connect(site.logins)
    db.execute("INSERT INTO login VALUES ('192.0.2.78', 'u', 'imap', "
               "'dovecot', 1, 1, 2, 1)")
    db.commit()
    db.close()
    assert 'collector-behind' in asked(site, '192.0.2.78')
    # it comes
    site.write(login('192.0.2.1'))
    wait_for(lambda: site.source()['read_at'] > 0)
    assert 'no-login' in asked(site)
    assert 'login-expired' in asked(site, '192.0.2.78')
    assert 'no such file' not in ctl(site, 'status').stdout
    # rotated, and the syslog daemon makes the new one with the next line
    site.log.rename(site.path / 'mail.log.1')
    beats(site)
    wait_for(lambda: 'no-login' in asked(site))
    site.stop(daemon)
    daemon = site.start()
    beats(site)
    beats(site)
    # gone altogether
    site.stop(daemon)
    (site.path / 'mail.log.1').unlink()
    site.start()
    wait_for(lambda: 'collector-behind' in asked(site))
    site.write(login('192.0.2.2'))
    wait_for(lambda: '192.0.2.2' in site.clients())
    wait_for(lambda: 'no-login' in asked(site))


def test_backlog_is_not_current(site):
    """read_at must not move before the log has been read to its end."""
    now = time.time()
    with site.log.open('w') as f:
        head = stamp(now)
        for i in range(1000000):
            f.write(f'{head} {NOISE}' if i % 20 else login(
                f'10.0.{i // 20 // 250 % 256}.{i // 20 % 250}', at=now))
    size = site.log.stat().st_size
    site.start()
    seen = set()
    wait_for(lambda: seen.add((site.source()['position'],
                            site.source()['read_at'] > 0)) or
          site.source()['read_at'] > 0, seconds=60)
    behind = [position for position, current in seen if not current]
    assert len(behind) > 1, 'too fast to be seen: make the log longer'
    assert site.source()['position'] == size
    assert len(site.query('SELECT 1 FROM login_event')) == 50000


def test_current_as_soon_as_read(site):
    """Not only at the next heartbeat: mail would be deferred till then."""
    site.configure(grace='10m')
    with site.log.open('w') as f:
        f.write(login('192.0.2.1') + f'{stamp()} {NOISE}' * 50000)
    begin = time.monotonic()
    site.start()
    wait_for(lambda: site.source()['read_at'] > 0)
    assert time.monotonic() - begin < 60    # no heartbeat has come yet
    assert site.source()['position'] == site.log.stat().st_size


def test_started_without_descriptors(site):
    """What is written to descriptor 2 must not land in the database."""
    daemon = subprocess.Popen(
        ['sh', '-c', f'exec {COLLECTOR} -c {site.conf} <&- >&- 2>&-'])
    site.daemons.append(daemon)
    site.write(login('192.0.2.1'))
    wait_for(site.clients)
    for fd in range(3):
        assert os.readlink(f'/proc/{daemon.pid}/fd/{fd}') == '/dev/null'
    site.log.unlink()               # something to complain about
    time.sleep(1.5)
    site.stop(daemon)
    check = sqlite3.connect(site.logins).execute('PRAGMA integrity_check')
    assert check.fetchone() == ('ok',)


def test_flood_does_not_hold_up_another_source(site):
    other = site.path / 'other.log'
    other.touch()
    with site.log.open('w') as f:
        for i in range(400000):
            f.write(f'{stamp()} {NOISE}' if i % 5 else login(
                f'10.{i // 5 // 62500}.{i // 5 // 250 % 250}.{i // 5 % 250}'))
    site.configure(f'{{ file = "{site.log}"; }}, {{ file = "{other}"; }}')
    site.start()
    took = 0
    while site.query(f"SELECT read_at FROM source WHERE name = "
                     f"'file:{site.log}'")[0][0] == 0:
        ip = f'192.0.2.{took}'
        with other.open('a') as f:
            f.write(login(ip))
        wait_for(lambda: site.query('SELECT 1 FROM login WHERE client = ?', ip))
        took += 1
    assert took > 3


def test_other_programs_cost_no_transaction(site):
    site.write(login('192.0.2.1'))
    site.configure(grace='1h')              # no heartbeat comes between
    site.start()
    wait_for(site.clients)
    wal = Path(f'{site.logins}-wal').stat()
    while True:                         # until it rests
        time.sleep(1)
        if Path(f'{site.logins}-wal').stat().st_mtime_ns == wal.st_mtime_ns:
            break
        wal = Path(f'{site.logins}-wal').stat()
    for _ in range(200):
        site.write(f'{stamp()} {NOISE}')
        time.sleep(0.005)
    assert Path(f'{site.logins}-wal').stat().st_mtime_ns == wal.st_mtime_ns


# --- a database that is not always there ---

def test_database_locked(site):
    daemon = site.start()
    site.write(login('192.0.2.1'))
    wait_for(site.clients)
    db = sqlite3.connect(site.logins, isolation_level=None)
    db.execute('BEGIN IMMEDIATE')
    for i in range(2, 9):
        site.write(login(f'192.0.2.{i}'))
        time.sleep(0.3)
    assert site.clients() == {'192.0.2.1'}
    wait_for(lambda: 'locked' in site.said())
    db.execute('ROLLBACK')
    wait_for(lambda: len(site.clients()) == 8)
    wait_for(lambda: 'works again' in site.said())
    # asked to end while it can't write: it says so, and nothing is lost
    db.execute('BEGIN IMMEDIATE')
    site.write(login('192.0.2.9'))
    said = site.said().count('locked')
    wait_for(lambda: site.said().count('locked') > said)
    site.stop(daemon, os.EX_TEMPFAIL)
    db.execute('ROLLBACK')
    db.close()
    site.start()
    wait_for(lambda: len(site.clients()) == 9)
    assert len(site.query('SELECT 1 FROM login_event')) == 9


def test_database_comes_late(site):
    home = site.path / 'later'
    site.logins = home / 'logins.db'
    site.configure()
    site.write(login('192.0.2.1'))
    site.start()
    assert 'No such file' in site.said()
    home.mkdir()
    wait_for(site.clients)


def test_database_replaced(site):
    site.write(login('192.0.2.1'))
    site.start()
    wait_for(site.clients)
    for end in ('', '-wal', '-shm'):
        Path(f'{site.logins}{end}').unlink()
    db = sqlite3.connect(site.logins)
    db.execute('PRAGMA user_version = 0')
    db.execute('CREATE TABLE somebody (x)')
    db.close()
    # reads the log again as far back as the window goes
    wait_for(site.clients)
    site.write(login('192.0.2.2'))
    wait_for(lambda: site.clients() == {'192.0.2.1', '192.0.2.2'})


@is_root
def test_disk_full(site):
    """On a file system of its own, filled up and emptied again."""
    script = f'''
set -e
mkdir {site.path}/small
mount -t tmpfs -o size=3m tmpfs {site.path}/small
touch {site.path}/mounted
exec sleep 600
'''
    holder = subprocess.Popen(['unshare', '-m', 'sh', '-c', script])
    try:
        wait_for((site.path / 'mounted').exists)
        enter = ['nsenter', '-m', '-t', str(holder.pid)]
        site.logins = site.path / 'small/logins.db'
        site.configure()
        site.log.touch()
        with site.stderr(COLLECTOR).open('ab') as err:
            daemon = subprocess.Popen([*enter, COLLECTOR, '-c', site.conf],
                                      stderr=err)
        site.daemons.append(daemon)
        wait_for(lambda: 'started' in site.said())
        subprocess.run([*enter, 'sh', '-c', f'cat /dev/zero > '
                        f'{site.path}/small/fill 2> /dev/null'])
        for i in range(600):
            site.write(login(f'10.0.{i // 250}.{i % 250}'))
        wait_for(lambda: 'full' in site.said(), site.said)
        # opening works: that must not pass for a recovery each second
        time.sleep(3.5)
        assert len(re.findall('full.*trying again', site.said())) == 1
        assert 'works again' not in site.said()
        subprocess.run([*enter, 'rm', f'{site.path}/small/fill'], check=True)

        def events():
            done = subprocess.run(
                [*enter, 'sqlite3', '-readonly', site.logins,
                 'SELECT count(*), (SELECT count(*) FROM login) FROM '
                 'login_event'], capture_output=True, text=True)
            return done.stdout.strip()
        wait_for(lambda: events() == '600|600', lambda: events() + site.said())
    finally:
        holder.kill()
        holder.wait()


@is_root
def test_log_on_a_full_disk(site):
    """The last line that fitted is a half one, and what comes when there is
    room again is joined to it: neither is a login, all others are."""
    holder = subprocess.Popen(['unshare', '-m', 'sh', '-c', f'''
set -e
mkdir {site.path}/small
mount -t tmpfs -o size=64k tmpfs {site.path}/small
head -c 20000 /dev/zero > {site.path}/small/fill
touch {site.path}/mounted
exec sleep 600
'''])
    try:
        wait_for((site.path / 'mounted').exists)
        enter = ['nsenter', '-m', '-t', str(holder.pid)]
        log = site.log = site.path / 'small/mail.log'

        def run(*argv, **kwargs):
            return subprocess.run([*enter, *argv], capture_output=True,
                                  text=True, **kwargs)

        def write(lines):
            run('sh', '-c', f'cat >> {log}', input=''.join(lines))

        def events():
            return site.query('SELECT count(*) FROM login_event')
        site.configure()
        with site.stderr(COLLECTOR).open('ab') as err:
            daemon = subprocess.Popen([*enter, COLLECTOR, '-c', site.conf],
                                      stderr=err)
        site.daemons.append(daemon)
        wait_for(lambda: 'started' in site.said())
        write(login(f'10.0.{i // 250}.{i % 250}') for i in range(2000))
        whole, half = run('cat', log).stdout.rsplit('\n', 1)
        assert len(half) > 20, 'the file system has another size'
        fitted = whole.count('\n') + 1
        assert 100 < fitted < 2000
        wait_for(lambda: events() == [(fitted,)], lambda: f'{events()} {fitted}')
        run('rm', f'{site.path}/small/fill')
        write(login(f'10.1.0.{i}') for i in range(10))
        wait_for(lambda: events() == [(fitted + 9,)], lambda: str(events()))
        assert '10.1.0.0' not in site.clients()
    finally:
        holder.kill()
        holder.wait()


def test_one_at_a_time(site):
    first = site.start()
    second = site.start()
    assert 'another popgate-collector' in site.said()
    site.write(login('192.0.2.1'))
    wait_for(site.clients)
    time.sleep(0.5)
    assert len(site.query('SELECT 1 FROM login_event')) == 1
    first.kill()
    site.write(login('192.0.2.2'))
    wait_for(lambda: len(site.clients()) == 2)
    site.stop(second)


# --- signals, reload, detaching ---

def test_reload(site):
    daemon = site.start()
    other = site.path / 'other.log'
    site.write(login('192.0.2.1'))
    wait_for(site.clients)
    # a mistake changes nothing
    good = site.conf.read_text()
    site.conf.write_text(good.replace('sources', 'sauces'))
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: 'nothing is changed' in site.said())
    site.configure(f'{{ file = "{site.log}"; }}, {{ file = "{other}"; }}',
                   relay='never_authorize = [ "192.0.2.2" ];')
    daemon.send_signal(signal.SIGUSR1)
    wait_for(lambda: 'in force' in site.said())
    other.write_text(login('192.0.2.3'))
    site.write(login('192.0.2.2') + login('192.0.2.4'))
    wait_for(lambda: len(site.clients()) == 3)
    assert site.clients() == {f'192.0.2.{i}' for i in (1, 3, 4)}
    # one source less: its row must not hold back the milter
    site.configure(f'{{ file = "{other}"; }}')
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: site.said().count('in force') == 2)
    wait_for(lambda: [row[0] for row in site.query('SELECT name FROM source')]
          == [f'file:{other}'])
    site.logins.rename(site.path / 'moved')
    (site.path / 'moved').rename(site.logins)
    site.stop(daemon)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_ends_promptly(site, number):
    daemon = site.start()
    site.write(NOISE)
    wait_for(lambda: site.source()['position'] == len(NOISE))
    begin = time.monotonic()
    daemon.send_signal(number)
    assert daemon.wait(60) == 0
    assert time.monotonic() - begin < 20    # ten heartbeats
    assert site.source()['position'] == len(NOISE)


def test_detached(site):
    done = subprocess.run([COLLECTOR, '-d', '-c', site.conf.name],
                          cwd=site.path, capture_output=True, text=True,
                          timeout=120)
    assert (done.returncode, done.stdout) == (0, ''), done.stderr
    pids = [int(p.name) for p in Path('/proc').iterdir() if p.name.isdigit()
            and str(site.conf.name).encode() in cmdline(p) and
            b'popgate-collector' in cmdline(p) and
            (p / 'environ').exists() and holds(p, site.path)]
    assert len(pids) == 1
    try:
        for fd in range(3):
            assert os.readlink(f'/proc/{pids[0]}/fd/{fd}') == '/dev/null'
        assert os.readlink(f'/proc/{pids[0]}/cwd') == '/'
        assert os.getsid(pids[0]) == pids[0]
        site.write(login('192.0.2.1'))
        wait_for(site.clients)
    finally:
        os.kill(pids[0], signal.SIGTERM)
    wait_for(lambda: not Path(f'/proc/{pids[0]}/fd/3').exists())
    site.logins = site.path / 'nowhere/logins.db'
    site.configure()
    done = run('-d', '-c', site.conf)
    assert done.returncode == os.EX_CANTCREAT and 'nowhere' in done.stderr


def cmdline(proc):
    try:
        return (proc / 'cmdline').read_bytes()
    except OSError:
        return b''


def holds(proc, path):
    """Has the process a file open below path?"""
    try:
        return any(os.readlink(fd).startswith(str(path))
                   for fd in (proc / 'fd').iterdir())
    except OSError:
        return False


@is_root
def test_gives_up_root():
    with tempfile.TemporaryDirectory() as name:     # pytest's are closed
        site = CollectorBox(Path(name))
        try:
            gives_up_root(site)
        finally:
            site.close()


def gives_up_root(site):
    nobody = pwd.getpwnam('nobody')
    site.path.chmod(0o755)
    home = site.path / 'home'
    home.mkdir()
    shutil.chown(home, 'nobody')
    site.logins = home / 'logins.db'
    site.configure(collector='user = "nobody";')
    site.write(login('192.0.2.1'))
    site.log.chmod(0o640)
    shutil.chown(site.log, group='adm')
    daemon = site.start()
    wait_for(site.clients, site.said)
    status = Path(f'/proc/{daemon.pid}/status').read_text()
    assert re.search(r'Uid:\t(\d+)\t(\d+)\t(\d+)', status).groups() == \
        (str(nobody.pw_uid),) * 3
    groups = re.search(r'Groups:(.*)', status)[1].split()
    assert str(grp.getgrnam('adm').gr_gid) in groups
    assert '0' not in groups
    assert site.logins.stat().st_uid == nobody.pw_uid
    # a log that it may not read is said, and not taken for read to its end
    before = site.source()['read_at']
    new = site.path / 'new'
    new.write_text(login('192.0.2.2'))
    new.chmod(0o600)
    new.rename(site.log)
    wait_for(lambda: 'Permission denied' in site.said())
    time.sleep(2)
    assert site.source()['read_at'] <= before + 2
    site.log.chmod(0o644)
    wait_for(lambda: len(site.clients()) == 2)
    site.stop(daemon)


def test_tells_systemd(site):
    path = site.path / 'notify'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(10)
        daemon = site.start(env={**os.environ, 'NOTIFY_SOCKET': str(path)})
        said = s.recv(1000).decode()
        assert 'READY=1' in said
        site.stop(daemon)
        while 'STOPPING=1' not in said:
            said += s.recv(1000).decode()
    assert 'STATUS=' in said


# --- standard input, socket, syslog daemons ---

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
    assert '6.6.6.6' not in ' '.join(site.clients())
    site.stop(daemon)
    assert not path.exists()
    wait_for(lambda: site.counts().get(('post-login', 'no-prefix')) == 12
          if me == 0 else True, lambda: site.counts())


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
    begin = time.monotonic()
    assert say(allowed, '192.0.2.9').returncode == os.EX_TEMPFAIL
    assert 0.4 < time.monotonic() - begin < 10
    # what was told is not lost for that
    daemon.send_signal(signal.SIGCONT)
    wait_for(lambda: '192.0.2.9' in site.clients())


@pytest.mark.parametrize('users, why', [
    ('[ "no-such-user-here" ]', 'login_users'), ('[ "nobody" ]', 'nobody'),
    ('"root"', 'a list of strings')])
def test_login_users_are_checked(site, users, why):
    site.configure(collector=f'login_users = {users};')
    done = run('-t', '-c', site.conf)
    assert done.returncode == os.EX_CONFIG
    assert why in done.stderr


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


# --- the journal ---

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


def test_old_rows_go(site):
    """A slice at a time, when there is nothing else to do."""
    site.write(login('192.0.2.1'))
    daemon = site.start()
    wait_for(site.clients)
    site.stop(daemon)
    old = int(time.time()) - 15 * 86400
    db = sqlite3.connect(site.logins)
    db.executemany(
        "INSERT INTO login VALUES (?, 'u', 'imap', 'dovecot', ?, ?, ?, 1)",
        [(f'10.0.{i // 250}.{i % 250}', old, old, old + 1800)
         for i in range(2500)])
    # ids grow with time
    db.execute('UPDATE login_event SET id = 9999')
    db.executemany(
        "INSERT INTO login_event VALUES (?, ?, '10.0.0.1', 'u', 'imap', "
        "'dovecot', 'x', 0, 'x')", [(i, old) for i in range(1, 2501)])
    db.commit()
    db.close()
    site.start()
    wait_for(lambda: site.clients() == {'192.0.2.1'})
    wait_for(lambda: site.query('SELECT id FROM login_event') == [(9999,)])


def test_silence_is_counted(site):
    site.start()
    site.write(login('192.0.2.1') + f'{stamp()} mail dovecot: imap-login: '
               'Loged in: user=<u>, rip=192.0.2.2\n' * 3)
    wait_for(lambda: site.counts().get(('dovecot', 'unknown-shape')) == 3)
    row, = site.query('SELECT lines, logins, silent_lines, unknown_lines, '
                      'sample FROM server_count')
    assert row[:4] == (4, 1, 3, 3)
    assert 'Loged in' in row[4]


def test_server_that_has_stopped(site):
    site.write(login('192.0.2.1'))
    daemon = site.start()
    wait_for(site.counts)
    site.stop(daemon)
    db = sqlite3.connect(site.logins)
    with db:
        db.execute('UPDATE source_count SET first_at = first_at - 200000, '
                   'last_at = last_at - 7300')
    db.close()
    said = 'dovecot: 0 lines in 2 h: stopped, or its tag changed?'
    site.start()
    wait_for(lambda: said in site.said())
    time.sleep(2.5)                     # two heartbeats
    assert site.said().count(said) == 1
    site.write(login('192.0.2.2'))
    wait_for(lambda: site.counts()['dovecot', 'login'] == 2)
    gap, = site.query('SELECT gap_s FROM source_count '
                      "WHERE server = 'dovecot'")[0]
    assert 7300 <= gap < 7400


if __name__ == '__main__':
    sys.exit(pytest.main([__file__, '-q']))
