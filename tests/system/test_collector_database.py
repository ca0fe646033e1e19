# SPDX-License-Identifier: ISC
"""popgate-collector and a database that is not always there."""
import os
import re
import sqlite3
import subprocess
import time
from pathlib import Path

from lab.box import COLLECTOR, is_root, login
from lab.process import wait_for


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
        enter = ['nsenter', '-m', '-r', '-t', str(holder.pid)]
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
        enter = ['nsenter', '-m', '-r', '-t', str(holder.pid)]
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
