# SPDX-License-Identifier: ISC
"""An admin's word holds against log lines older than it, however often they
are read: popgatectl delete, deny and expire, and vsmtprelay's."""
import os
import shutil
import signal
import sqlite3
import time

import pytest

from lab.box import CollectorBox, login
from lab.process import wait_for

A, B, C = '203.0.113.5', '203.0.113.6', '203.0.113.7'


class Word(CollectorBox):
    def ctl(self, *args, program='popgatectl', rc=0):
        done = self.run(*args, program=program, code=rc)
        return done.stdout + done.stderr

    def query(self, sql, *args):
        db = sqlite3.connect(self.logins)
        try:
            with db:
                return db.execute(sql, args).fetchall()
        finally:
            db.close()

    def lines_of(self, client):
        return self.query("SELECT count(*) FROM login_event WHERE client = ? "
                          "AND source <> 'popgatectl'", client)[0][0]

    def next_second(self):
        """Wait for a second that is after all that was done; also by time(2),
        which is a tick late."""
        end = int(time.time()) + 1.05
        while time.time() < end:
            time.sleep(0.02)


@pytest.fixture
def word(tmp_path):
    site = Word(tmp_path)
    yield site
    site.close()


def reread(word, how, daemon):
    """Have the log read again. Returns the daemon that does."""
    if how == 'source taken out and added':
        other = word.path / 'other.log'
        other.write_text('')
        word.configure(f'{{ file = "{other}"; }}')
        daemon.send_signal(signal.SIGHUP)
        wait_for(lambda: word.query("SELECT 1 FROM source WHERE name LIKE "
                                 "'%other.log'"))
        word.configure()
        daemon.send_signal(signal.SIGHUP)
        return daemon
    if how == 'a copy under another name':
        copy = word.path / 'copy.log'
        shutil.copy(word.log, copy)
        word.configure(f'{{ file = "{word.log}"; }}, {{ file = "{copy}"; }}')
        daemon.send_signal(signal.SIGHUP)
        return daemon
    word.stop(daemon)
    if how == 'empty source table':
        word.query('DELETE FROM source')
    return word.start()


@pytest.mark.parametrize('how', [
    'source taken out and added', 'a copy under another name',
    'empty source table'])
def test_deletion_holds(word, how):
    """The three ways of taking a login back, and one that nobody took."""
    D = '203.0.113.8'
    word.write(''.join(login(client) for client in (A, B, C, D)))
    daemon = word.start()
    wait_for(lambda: word.active() == {A, B, C, D})
    word.ctl('delete', A)
    word.ctl('delete', B, program='vsmtprelay')
    word.ctl('deny', C)
    assert word.active() == {C, D}
    assert 'no-login' in word.ctl('check', '--client', A, '--to',
                                  'x@example.net', rc=None)
    daemon = reread(word, how, daemon)
    wait_for(lambda: word.lines_of(D) == 2 and word.lines_of(A) == 2)
    assert word.active() == {C, D}
    assert 'denied' in word.ctl('check', '--client', C, '--to',
                                'x@example.net', rc=None)
    why = word.ctl('why', A, rc=None)
    assert 'An admin deleted its logins until' in why
    if how == 'a copy under another name':      # its lines are in a log of now
        assert 'an admin deleted the client later' in why
    assert 'An admin deleted' not in word.ctl('why', D, rc=None)
    assert '"deleted_until":"2' in word.ctl('why', '--json', A, rc=None)
    # the next login brings it back
    word.next_second()
    word.write(login(A))
    wait_for(lambda: A in word.active())
    assert B not in word.active()
    word.stop(daemon)


def replace_table(word, daemon, backup):
    """Stop, put backup (None: nothing) in the place of the table, start; and
    wait until all is read."""
    word.stop(daemon)
    for name in ('logins.db', 'logins.db-wal', 'logins.db-shm'):
        (word.path / name).unlink(missing_ok=True)
    if backup:
        shutil.copy(backup, word.logins)
    daemon = word.start()
    word.next_second()
    word.write(login('203.0.113.99'))
    wait_for(lambda: '203.0.113.99' in word.active())
    return daemon


@pytest.mark.parametrize('restored', [True, False])
def test_table_restored_or_lost(word, restored):
    """Neither the logins of the copy come back, nor their lines; who was denied
    is, and who is no longer isn't, whatever the copy says."""
    D, E = '203.0.113.8', '203.0.113.9'
    word.write(''.join(login(client) for client in (A, B, C, D, E)))
    daemon = word.start()
    wait_for(lambda: word.active() == {A, B, C, D, E})
    word.ctl('deny', E, '--reason', 'before')
    word.ctl('add', '198.51.100.0/24', '--forever')
    backup = word.path / 'backup.db'
    with sqlite3.connect(backup) as to:
        sqlite3.connect(word.logins).backup(to)
    word.next_second()
    word.ctl('delete', A, '198.51.100.0/24')
    word.ctl('delete', B, program='vsmtprelay')
    word.ctl('deny', C)
    word.ctl('undeny', E)
    daemon = replace_table(word, daemon, restored and backup)
    assert word.active() == {C, D, E, '203.0.113.99'}
    assert {row[0] for row in word.query(
        'SELECT subject FROM deny WHERE expires_at > unixepoch()')} == {C}
    assert 'deletions and denials by an admin' in word.said()
    # once: what comes later is nobody's to take back
    word.ctl('add', A)
    word.stop(daemon)
    daemon = word.start()
    assert A in word.active()
    # of all
    word.next_second()
    word.ctl('expire', '0')
    word.next_second()
    daemon = replace_table(word, daemon, restored and backup)
    assert word.active() <= {'203.0.113.99'}
    word.stop(daemon)


def test_table_restored_while_running(word):
    """sqlite3's .restore puts the copy into the file itself. What root writes
    beside the table is its owner's."""
    word.write(login(A) + login(B))
    daemon = word.start()
    wait_for(lambda: word.active() == {A, B})
    backup = word.path / 'backup.db'
    with sqlite3.connect(backup) as to:
        sqlite3.connect(word.logins).backup(to)
    word.next_second()
    os.chown(word.logins, -1, 23456)
    word.ctl('delete', A)
    word.ctl('deny', C)
    assert os.stat(word.path / 'logins.db.words').st_gid == 23456
    os.chown(word.logins, -1, os.getgid())
    # a beat, at which the source is read further than the copy says
    was = word.query('SELECT max(read_at) FROM source')
    wait_for(lambda: word.query('SELECT max(read_at) FROM source') != was)
    with sqlite3.connect(backup) as of, sqlite3.connect(word.logins) as to:
        of.backup(to)
    word.write(login(B))
    wait_for(lambda: 'was replaced by an older copy' in word.said())
    wait_for(lambda: word.active() == {B}, word.said)
    assert [C] == [row[0] for row in word.query('SELECT subject FROM deny')]
    # that line counts once, though it waited for the table meanwhile
    wait_for(lambda: word.lines_of(B) == 2, lambda: word.lines_of(B))
    word.stop(daemon)


def test_denial_that_ended(word):
    """No row of it comes back: with none, a decision asks for none."""
    daemon = word.start()
    word.ctl('deny', A)
    word.ctl('undeny', A)
    word.stop(daemon)
    daemon = word.start()
    word.write(login(B))
    wait_for(lambda: word.active() == {B})
    assert word.query('SELECT subject FROM deny') == []
    word.stop(daemon)


def test_words_that_can_t_be_kept(word):
    word.write(login(A) + login(B))
    daemon = word.start()
    wait_for(lambda: word.active() == {A, B})
    words = word.path / 'logins.db.words'
    words.write_bytes(b'x' * 8192)
    said = word.ctl('delete', A)
    assert "won't hold when the login table is lost" in said
    assert word.active() == {B}
    daemon = reread(word, 'empty source table', daemon)
    assert "are not in force" in word.said()
    wait_for(lambda: word.lines_of(B) == 2)
    assert word.active() == {B}
    word.stop(daemon)


def test_expire_holds(word):
    now = int(time.time())
    word.write(login(A, at=now - 1200) + login(B, at=now - 60))
    daemon = word.start()
    wait_for(lambda: word.active() == {A, B})
    word.ctl('expire', '10')
    assert word.active() == {B}
    daemon = reread(word, 'empty source table', daemon)
    wait_for(lambda: word.lines_of(B) == 2)
    assert word.active() == {B}
    word.ctl('expire', program='vsmtprelay')
    assert not word.active()
    daemon = reread(word, 'empty source table', daemon)
    wait_for(lambda: word.lines_of(B) == 3)
    assert not word.active()
    # by hand afterwards: that is the admin's word, too
    word.ctl('add', A)
    assert word.active() == {A}
    word.next_second()
    word.write(login(B))
    wait_for(lambda: word.active() == {A, B})
    word.stop(daemon)


def test_deleted_before_it_was_read(word):
    """While the collector is behind: exit status 1 says that there is no
    entry, and yet the line that is read later opens nothing."""
    word.write(login(B))
    word.stop(word.start())
    word.write(login(A))
    assert 'is not in the table' in word.ctl('delete', A, rc=1)
    daemon = word.start()
    wait_for(lambda: word.lines_of(A) == 1)
    assert word.active() == {B}
    word.stop(daemon)


def test_ahead_of_the_clock(word):
    """A line dated after the deletion, which was read before it."""
    word.write(login(A, at=time.time() + 120))
    daemon = word.start()
    wait_for(lambda: word.active() == {A})
    word.ctl('delete', A)
    daemon = reread(word, 'empty source table', daemon)
    wait_for(lambda: word.lines_of(A) == 2)
    assert not word.active()
    word.stop(daemon)
