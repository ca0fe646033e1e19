# SPDX-License-Identifier: ISC
"""popgate-collector as a process: files, heartbeat, batching, options, signals."""
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from lab.box import COLLECTOR, CTL, NOISE, CollectorBox, is_root, login, stamp
from lab.proc import link, opened, running
from lab.process import PATIENCE, wait_for

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
    for i in range(50):
        site.write(login(f'192.0.2.{i}'))
        wait_for(lambda: f'192.0.2.{i}' in site.clients())


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
    wait_for(lambda: 'ahead of this machine' in site.said())
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
    """The answer that a stranger would get."""
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
    now = int(time.time())
    db.execute("INSERT INTO login VALUES ('192.0.2.78', 'u', 'imap', "
               "'dovecot', ?, ?, ?, 1)", (now - 9, now - 9, now - 1))
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
    """Text written to descriptor 2 must not land in the database."""
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


def test_logins_that_need_a_setting(site):
    """Each is named in the log and in status, with what would take it."""
    daemon = site.start()
    site.write(login('192.0.2.1'))
    wait_for(lambda: '192.0.2.1' in site.clients())
    before = stamp(time.time() - 3600 - 1)
    site.write(login('192.0.2.2').replace(' dovecot: ', ' dovecot-b: ') +
               f'{stamp()} mail x: 2026 dovecot: imap-login: Login: user=<u>\n' +
               'Mon, ' + login('192.0.2.3') +
               before + login('192.0.2.4')[len(stamp()):])
    wait_for(lambda: site.counts().get(('dovecot', 'late')) == 1)
    assert site.counts()['dovecot', 'unknown-tag'] == 1
    assert site.counts()['', 'unknown-prefix'] == 1
    assert site.counts()['', 'other-program'] == 1
    assert '192.0.2.2' not in site.clients()
    assert '192.0.2.3' not in site.clients()
    out = ctl(site, 'status').stdout
    assert re.search(r'WARNING +server dovecot in .*: unknown-tag: 1 lines .*'
                     r'collector.tags = { dovecot = \[ "dovecot-b" \]', out)
    assert re.search(r'WARNING +source .*: unknown-prefix: 1 lines', out)
    assert re.search(r'WARNING +server dovecot in .*: late: .* 60 min behind.*'
                     r'zone = "-01:00"', out)
    assert 'its tag is none that is read' in site.said()
    assert 'zone = "-01:00" belongs to this source' in site.said()
    # one in time ends the last of them
    site.write(login('192.0.2.5'))
    wait_for(lambda: '192.0.2.5' in site.clients())
    wait_for(lambda: ': late: ' not in ctl(site, 'status').stdout)
    # and what status said takes the hour, and the tag
    site.configure(f'{{ file = "{site.log}"; zone = "-01:00"; }}',
                   collector='tags = { dovecot = [ "dovecot-b" ]; };')
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: 'reload: ' in site.said())
    site.write(before + login('192.0.2.6').replace(
        ' dovecot: ', ' dovecot-b: ')[len(stamp()):])
    wait_for(lambda: '192.0.2.6' in site.clients())
    until, = site.query('SELECT expires_at FROM login '
                        "WHERE client = '192.0.2.6'")[0]
    assert until > time.time()


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
    daemon.send_signal(number)
    assert daemon.wait(PATIENCE) == 0
    assert site.source()['position'] == len(NOISE)


def test_detached(site):
    done = subprocess.run([COLLECTOR, '-d', '-c', site.conf.name],
                          cwd=site.path, capture_output=True, text=True,
                          timeout=120)
    assert (done.returncode, done.stdout) == (0, ''), done.stderr
    pid, = (pid for pid in running(COLLECTOR) if opened(pid, site.logins))
    try:
        for fd in range(3):
            assert link(pid, f'fd/{fd}') == '/dev/null'
        assert link(pid, 'cwd') == '/'
        assert os.getsid(pid) == pid
        site.write(login('192.0.2.1'))
        wait_for(site.clients)
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not link(pid, 'fd/3'))
    site.logins = site.path / 'nowhere/logins.db'
    site.configure()
    done = run('-d', '-c', site.conf)
    assert done.returncode == os.EX_CANTCREAT and 'nowhere' in done.stderr


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
