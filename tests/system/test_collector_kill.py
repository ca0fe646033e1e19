# SPDX-License-Identifier: ISC
"""Exactly once: popgate-collector is killed with -9 at random instants while
lines come in and the log is rotated in every way. What it has recorded at the
end must equal what an undisturbed run makes of the same lines.

POPGATE_KILLS sets how often it is killed (default 200)."""
import gzip
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lab.box import COLLECTOR, stamp
from lab.process import wait_for

KILLS = int(os.environ.get('POPGATE_KILLS', '200'))

# No two lines are the same, as in a real log: files are known again by their
# first bytes, and here several are begun within a second.
NOISE = (
    'postfix/smtpd[{}]: connect from client.example.net[203.0.113.9]',
    'postfix/cleanup[12]: {}: message-id=<a@example.net>',
    'dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): '
    'user=<eve{}>, method=PLAIN, rip=203.0.113.66, lip=198.51.100.5',
)


def login_line(n):
    return (f'{stamp()} mail dovecot: imap-login: Login: user=<u{n % 97}>, '
            f'method=PLAIN, rip=10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}, '
            f'lip=198.51.100.5, mpid={n}, session=<s{n}>\n').encode()


def popa3d(pid, text):
    return f'{stamp()} mail popa3d[{pid}]: {text}\n'.encode()


class Writer(threading.Thread):
    """A syslog daemon and logrotate in one, so that copying and truncating
    loses nothing by itself."""

    def __init__(self, log, seed):
        super().__init__(daemon=True)
        self.log, self.random = log, random.Random(seed)
        self.lines, self.stop = [], threading.Event()
        self.rotations = {'rename': 0, 'copytruncate': 0, 'late': 0}
        self.out = open(log, 'ab', buffering=0)
        self.n = self.noise = self.generations = 0
        self.pids, self.pairs = [], 0

    def session(self, late):
        """A line of a server that takes two for a login, far apart. The first
        is not written late: the second could be read before it."""
        if late or self.pids and self.random.random() < 0.5:
            pid = self.pids.pop(self.random.randrange(len(self.pids)))
            self.pairs += 1
            return popa3d(pid, f'Authentication passed for p{pid}')
        self.n += 1
        self.pids.append(self.n)
        return popa3d(self.n, 'Session from 172.16.'
                              f'{self.n >> 8 & 255}.{self.n & 255}')

    def write(self, out, late=False):
        r = self.random
        for _ in range(r.choice((1, 1, 1, 5, 40))):
            if r.random() < 0.3:
                line = login_line(self.n)
                self.n += 1
                self.lines.append(line)
            elif r.random() < 0.2 and (self.pids or not late):
                line = self.session(late)
                self.lines.append(line)
            else:
                self.noise += 1
                noise = r.choice(NOISE).format(self.noise)
                line = f'{stamp()} mail {noise}\n'.encode()
            if r.random() < 0.1:        # in two pieces
                cut = r.randrange(len(line))
                out.write(line[:cut])
                time.sleep(0.0005)
                line = line[cut:]
            out.write(line)

    def generation(self, i, gz=False):
        return Path(f'{self.log}.{i}{".gz" if gz else ""}')

    def shift(self):
        """None is ever deleted: being too slow is not what is tested."""
        for i in range(self.generations, 0, -1):
            for gz in (False, True):
                if self.generation(i, gz).exists():
                    self.generation(i, gz).rename(
                        self.generation(i + 1, gz))
        self.generations += 1

    def compress(self):
        """Compress as logrotate's delaycompress does: not the newest."""
        plain = self.generation(2)
        if not plain.exists() or self.random.random() < 0.5:
            return
        times = plain.stat()
        with plain.open('rb') as src, \
                gzip.open(self.generation(2, True), 'wb') as dst:
            shutil.copyfileobj(src, dst)
        os.utime(self.generation(2, True),
                 ns=(times.st_atime_ns, times.st_mtime_ns))
        plain.unlink()

    def rotate(self):
        self.shift()
        if self.random.random() < 0.6:
            self.rotations['rename'] += 1
            os.rename(self.log, self.generation(1))
            if self.random.random() < 0.5:
                time.sleep(self.random.random() * 0.01)
            new = open(self.log, 'ab', buffering=0)
            # before it is told to reopen, a daemon writes into the old file
            if self.random.random() < 0.5:
                self.rotations['late'] += 1
                time.sleep(self.random.random() * 0.01)
                self.write(self.out, late=True)
            self.out.close()
            self.out = new
        else:
            self.rotations['copytruncate'] += 1
            shutil.copyfile(self.log, self.generation(1))
            os.truncate(self.log, 0)
        self.compress()

    def run(self):
        last = time.monotonic()
        while not self.stop.is_set():
            self.write(self.out)
            if time.monotonic() - last > 0.05 and self.random.random() < 0.3:
                self.rotate()
                last = time.monotonic()
            time.sleep(self.random.random() * 0.003)


def config(path, log, database):
    path.write_text(f'''
logins: {{ database = "{database}"; }};
relay: {{ never_authorize = [ ]; collector_grace = "4s"; }};
collector: {{ user = "root"; sources = ( {{ file = "{log}"; }} );
              servers = [ "all", "popa3d" ]; }};
''')
    return path


def start(conf, log):
    return subprocess.Popen([COLLECTOR, '-c', conf], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=log)


def stop(daemon):
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(120) == 0


def rows(database, query):
    db = sqlite3.connect(f'file:{database}?mode=ro', uri=True)
    try:
        return sorted(db.execute(query))
    except sqlite3.OperationalError:    # the first one is being made
        return []
    finally:
        db.close()


def events(database):
    return rows(database, 'SELECT at, client, user, service, server, line '
                'FROM login_event')


def logins(database):
    return rows(database, 'SELECT client, user, service, server, first_at, '
                'last_at, expires_at, count FROM login')


@pytest.mark.parametrize('seed', [1])
def test_killed_at_any_instant(tmp_path, seed):
    log, database = tmp_path / 'mail.log', tmp_path / 'logins.db'
    conf = config(tmp_path / 'popgate.conf', log, database)
    r = random.Random(seed)
    writer = Writer(log, seed)
    writer.start()
    alive = 0
    with open(tmp_path / 'stderr', 'ab') as err:
        for _ in range(KILLS):
            daemon = start(conf, err)
            time.sleep(r.choice((0.005, 0.02, 0.06)) * (0.3 + r.random()))
            alive += daemon.poll() is None
            daemon.kill()
            daemon.wait()
            if r.random() < 0.05:
                time.sleep(0.6)         # rotated several times meanwhile
        writer.stop.set()
        writer.join()
        want_n = sum(b'Session from' not in line for line in writer.lines)
        daemon = start(conf, err)
        wait_for(lambda: database.exists() and
                 len(events(database)) >= want_n, f'{want_n} logins')
        time.sleep(0.3)
        stop(daemon)

        # the undisturbed run: the same lines in one file
        whole, other = tmp_path / 'whole.log', tmp_path / 'other.db'
        whole.write_bytes(b''.join(writer.lines))
        daemon = start(config(tmp_path / 'other.conf', whole, other), err)
        wait_for(lambda: other.exists() and
                 len(events(other)) >= want_n, f'{want_n} logins')
        stop(daemon)
    assert alive == KILLS, 'it ended before it was killed'
    assert min(writer.rotations.values()) > 0, writer.rotations
    got, want = events(database), events(other)
    print(f'{KILLS} kills, {want_n} logins, {writer.pairs} of two lines, '
          f'{writer.rotations}')
    assert len(want) == want_n and writer.pairs > 0
    lost = set(want) - set(got)
    assert not lost, f'{len(lost)} lost, the first: {min(lost)}'
    assert got == want
    assert logins(database) == logins(other)
