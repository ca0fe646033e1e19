# SPDX-License-Identifier: ISC
"""Every subcommand of popgatectl on tables that the real daemons filled: good,
empty, hostile, large; of a newer version, locked, missing, rubbish; and as a
member of the group that may only read."""
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from lab.box import COLLECTOR, CTL, HARMFUL, MILTER, Box, login
from lab.process import PATIENCE, wait_for

OK, NONE, USAGE, DATAERR, NOINPUT, UNAVAILABLE = 0, 1, 64, 65, 66, 69
TEMPFAIL, NOPERM = 75, 77
UNKNOWN = 3                     # health's, as monitors have it
GROUP, NOBODY = 4242, 65534

HOSTILE = 'evil\x1b[2J\x07\u202ename'

# what each needs: the login table (L), the decisions (A); r reads, w writes
COMMANDS = {
    'list': ('Lr', ['list']),
    'why': ('Lr', ['why', '192.0.2.1']),
    'check': ('', ['check', '--client', '192.0.2.1', '--to', 'a@far.test']),
    'decisions': ('Ar', ['decisions']),
    'add': ('Lw', ['add', '198.51.100.77']),
    'delete': ('Lw', ['delete', '192.0.2.3']),
    'deny': ('Lw', ['deny', '198.51.100.78', '--reason', 'test']),
    'undeny': ('Lw', ['undeny', '198.51.100.79']),
    'expire': ('Lw', ['expire']),
    'dump': ('Lr', ['dump']),
    'share': ('', None),        # asks Redis: test_share
    'login': ('', None),        # speaks to a socket: test_collector
    'stats': ('Ar', ['stats']),
    'top': ('Ar', ['top']),
    'spam': ('Ar', ['spam']),
    'dependents': ('Ar', ['dependents']),
    'report': ('Ar', ['report']),
    'import': ('Lw', ['import', 'IMPORT']),
    'export': ('Lr', ['export']),
    'mirror': ('', ['mirror']),
    'status': ('', ['status']),
    'health': ('', ['health']),
    'watch': ('Ar', ['watch', '--once']),
    'sql': ('Lr', ['sql', 'SELECT count(*) FROM login']),
    'replay': ('', ['replay', 'LOG']),
    'check-config': ('', ['check-config']),
    'dump-config': ('', ['dump-config']),
    'doctor': ('', None),       # of the MTA: test_doctor*
    'wiring': ('', ['wiring', 'postfix']),
    'setup': ('', None),        # of the machine: test_setup*
    'reload': ('', None),       # of systemd's daemons: test_ctl_status
    'completion': ('', ['completion', 'bash']),
    'help': ('', ['help', 'why']),
}
JSON = [['list', '--json'], ['list', '--all', '--json', '--sort', 'last'],
        ['why', '192.0.2.1', '--json'], ['why', HOSTILE, '--json'],
        ['decisions', '--json'], ['decisions', '--user', 'carol', '--json'],
        ['stats', '--json'], ['top', '--json'], ['spam', '--json'],
        ['dependents', '--json'], ['dependents', '--weeks', '--json'],
        ['report', '--json'], ['status', '--json'],
        ['dump-config', '--json'], ['deny', '--list', '--json'],
        ['export', '--format', 'json'],
        ['check', '--client', '192.0.2.1', '--to', 'a@far.test', '--json']]


class Tables(Box):
    """Filled by both daemons; to be reached by other users, too."""

    def __init__(self):
        path = Path(tempfile.mkdtemp(prefix='popgate-tables-',
                                     dir='/var/lib'))
        path.chmod(0o755)
        os.chown(path, 0, GROUP)
        super().__init__(path)
        self.extra = self.path / 'import'
        self.extra.write_text('198.51.100.80\n')
        self.log.touch()

    def configure(self):
        self.conf.write_text(f"""
logins: {{ database = "{self.logins}"; }};
audit: {{ database = "{self.audit}"; }};
milter: {{ user = "root"; listen = "unix:{self.path}/milter.sock";
          status = "unix:{self.path}/milter-status.sock"; }};
permit: {{ policy = "unix:{self.path}/policy.sock"; }};
relay: {{ local_domains = [ "example.com" ]; never_authorize = [ ]; }};
collector: {{ user = "root"; sources = ( {{ file = "{self.log}"; }} );
             status = "unix:{self.path}/collector-status.sock"; }};
""")

    def start(self):
        for program in (COLLECTOR, MILTER):
            self.launch(program)
        # the socket is there before the tables are
        wait_for(lambda: (self.path / 'policy.sock').exists() and
                 self.read_at() > 0 and
                 self.query('PRAGMA user_version', database=self.audit)
                 not in ([], [(0,)]), self.said)

    def stop(self):
        for daemon in self.daemons:
            super().stop(daemon)
        self.daemons = []

    def read_at(self):
        rows = self.query('SELECT min(read_at) FROM source')
        return rows[0][0] or 0 if rows else 0

    def fill(self):
        """Logins through the log, decisions through the policy socket."""
        lines = [login('192.0.2.1', 'alice'), login('192.0.2.1', 'bob'),
                 login('192.0.2.2', 'carol'), login('192.0.2.3', 'dora'),
                 login('192.0.2.4', 'old', at=time.time() - 7200),
                 login('2001:db8::1', 'alice'),
                 login('192.0.2.66', HOSTILE),
                 login('192.0.2.67', '<b>&amp;"\';--')]
        self.write(''.join(lines))
        wait_for(lambda: len(self.query('SELECT 1 FROM login')) >= 8)
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.path / 'policy.sock'))
            reply = s.makefile('rb')
            for n, (client, user, sender) in enumerate((
                    ('192.0.2.1', '', 'a@example.com'),
                    ('192.0.2.2', '', 'carol@example.com'),
                    ('192.0.2.66', '', HOSTILE + '@example.com'),
                    ('203.0.113.9', '', 'spam@example.net'),
                    ('203.0.113.9', 'eve' + HOSTILE, 'x@example.net'))):
                request = {'request': 'smtpd_access_policy',
                           'protocol_state': 'RCPT',
                           'instance': 'i%d' % n, 'client_address': client,
                           'client_name': 'name' + HOSTILE,
                           'helo_name': 'helo' + HOSTILE, 'sender': sender,
                           'recipient': 'someone@far.test',
                           'sasl_username': user,
                           'sasl_method': 'PLAIN' if user else ''}
                s.sendall(''.join(f'{k}={v}\n' for k, v in
                                  request.items()).encode() + b'\n')
                assert reply.readline().startswith(b'action=')
                reply.readline()
        wait_for(lambda: len(self.query('SELECT 1 FROM decision',
                                     database=self.audit)) == 5)

    def copy(self, path):
        """The same tables with nobody at work on them."""
        other = Tables.__new__(Tables)
        other.__dict__ = {**self.__dict__, 'path': path, 'daemons': [],
                          'conf': path / 'popgate.conf', 'logins': path / 'logins.db',
                          'audit': path / 'audit.db'}
        path.chmod(0o755)
        for name in ('logins', 'audit'):
            with sqlite3.connect(getattr(self, name)) as db, \
                    sqlite3.connect(getattr(other, name)) as to:
                db.backup(to)
            to.execute('PRAGMA journal_mode = WAL')
            to.close()
            db.close()
        other.conf.write_text(self.conf.read_text().replace(
            str(self.path) + '/', str(path) + '/').replace(
                f'{path}/mail.log', str(self.log)))
        return other

    def words(self, args):
        return [str(self.log) if a == 'LOG' else str(self.extra)
                if a == 'IMPORT' else a for a in args]

    def spawn(self, args, prefix=()):
        return subprocess.Popen(
            [*prefix, CTL, '-c', self.conf, *self.words(args)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, 'LC_ALL': 'C.UTF-8'})

    def tried(self, args, prefix=()):
        process = self.spawn(args, prefix)
        out, err = process.communicate(timeout=PATIENCE)
        assert not HARMFUL.search(out + err), (args, out, err)
        return process.returncode, out, err


@pytest.fixture(scope='module')
def filled():
    tables = Tables()
    try:
        tables.start()
        tables.fill()
        yield tables
        tables.stop()
    finally:
        tables.close()
        shutil.rmtree(tables.path)


@pytest.fixture
def copied(filled):
    path = Path(tempfile.mkdtemp(prefix='popgate-tables-', dir='/var/lib'))
    yield filled.copy(path)
    shutil.rmtree(path)


def needing(letter):
    return [(name, args) for name, (needs, args) in COMMANDS.items()
            if args is not None and letter in needs]


def test_no_subcommand_is_forgotten(filled):
    code, out, _ = filled.tried(['help'])
    assert code == OK
    assert set(re.findall(r'^  ([a-z-]+) {2,}', out, re.M)) - {'-c'} >= set(
        COMMANDS)
    named = set(re.findall(r'^  ([a-z][a-z-]*) ', out, re.M))
    assert named == set(COMMANDS)


@pytest.mark.parametrize('name', [n for n, (_, a) in COMMANDS.items() if a])
def test_good_and_hostile(filled, name):
    code, out, err = filled.tried(COMMANDS[name][1])
    assert code == (NONE if name == 'undeny' else OK), (out, err)
    expected = {'list': '192.0.2.66', 'why': 'imap-login: Login',
                'check': 'recent-login', 'decisions': 'evil\\x1b[2J',
                'export': '2001:db8::1', 'dump': '192.0.2.66\t',
                'stats': ':00', 'top': '203.0.113.9', 'dependents': 'carol',
                'watch': 'decisions in the last minute, 0 rows wait',
                'sql': '', 'replay': 'dovecot', 'health': 'OK',
                'delete': '192.0.2.3', 'add': '198.51.100.77'}
    assert expected.get(name, '') in out


@pytest.mark.parametrize('args', JSON, ids=lambda a: '-'.join(a[:3]))
def test_json_is_json(filled, args):
    code, out, err = filled.tried(args)
    assert code == OK, err
    for line in out.splitlines():
        json.loads(line)
    if args[0] != 'spam' and '--list' not in args:
        assert out
    # no ISO time without its offset
    for stamp in re.findall(r'"\d{4}-\d\d-\d\dT[^"]*"', out):
        assert re.search(r'[+-]\d\d:\d\d"$', stamp), stamp


def test_hostile_names_are_found_by_what_they_are(filled):
    code, out, _ = filled.tried(['why', HOSTILE])
    assert code == OK and '192.0.2.66' in out and 'evil\\x1b[2J' in out
    code, out, _ = filled.tried(['decisions', '--json', '--user',
                               'eve' + HOSTILE])
    assert json.loads(out)['auth_user'] == 'eve' + HOSTILE


def test_empty():
    tables = Tables()
    try:
        tables.start()
        for name, (_, args) in COMMANDS.items():
            if args is None:
                continue
            code, out, err = tables.tried(args)
            assert code == (NONE if name in ('undeny', 'delete') else OK), (
                name, out, err)
        tables.stop()
    finally:
        tables.close()
        shutil.rmtree(tables.path)


def test_newer_version(copied):
    for database in (copied.logins, copied.audit):
        with sqlite3.connect(database) as db:
            db.execute('PRAGMA user_version = 99')
        db.close()
    for name, args in needing('L') + needing('A'):
        if name == 'sql':
            continue        # reads whatever there is
        code, _, err = copied.tried(args)
        assert code == DATAERR and 'newer than this program' in err, name
    # policy row 7: unknown, never an accept
    assert 'store-unavailable' in copied.tried(COMMANDS['check'][1])[1]
    assert copied.tried(['health'])[0] in (2, 3)


def test_rubbish(copied):
    for database in (copied.logins, copied.audit):
        for tail in ('', '-wal', '-shm'):
            Path(str(database) + tail).unlink(missing_ok=True)
        database.write_bytes(b'rubbish' * 1000)
    for name, args in needing('L') + needing('A'):
        code, out, err = copied.tried(args)
        assert code not in (OK, NONE) and err, (name, out)
    assert 'store-unavailable' in copied.tried(COMMANDS['check'][1])[1]


def test_missing(copied):
    for database in (copied.logins, copied.audit):
        for tail in ('', '-wal', '-shm'):
            Path(str(database) + tail).unlink(missing_ok=True)
    makes = {'add', 'deny', 'import'}
    for name, args in needing('L') + needing('A'):
        if name in makes:
            continue
        code, _, err = copied.tried(args)
        assert code == NOINPUT and 'there is no' in err, name
    assert not copied.logins.exists() and not copied.audit.exists()
    for name in makes:
        assert copied.tried(COMMANDS[name][1])[0] == OK
        copied.logins.unlink()
        for tail in ('-wal', '-shm'):
            Path(str(copied.logins) + tail).unlink(missing_ok=True)


def test_locked(copied):
    """A writer keeps other writers out, and no reader."""
    db = sqlite3.connect(copied.logins, isolation_level=None)
    db.execute('BEGIN IMMEDIATE')
    audit = sqlite3.connect(copied.audit, isolation_level=None)
    audit.execute('BEGIN IMMEDIATE')
    writers = [(name, copied.spawn(args)) for name, args in needing('w')]
    for name, args in needing('r'):
        assert copied.tried(args)[0] == OK, name
    assert 'recent-login' in copied.tried(COMMANDS['check'][1])[1]
    for name, process in writers:
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == TEMPFAIL and 'lock' in err, (name, err)
    db.execute('ROLLBACK')
    audit.execute('ROLLBACK')
    assert copied.tried(COMMANDS['add'][1])[0] == OK


def test_a_member_of_the_group_reads_and_no_more(filled):
    prefix = ['setpriv', f'--reuid={NOBODY}', f'--regid={GROUP}',
              '--clear-groups']
    for name, (needs, args) in COMMANDS.items():
        if args is None:
            continue
        code, out, err = filled.tried(args, prefix)
        if 'w' in needs:
            assert code == NOPERM and 'needs root' in err, (name, err)
        elif name == 'health':  # may not ask the daemons, and says so
            assert code == UNKNOWN and 'Permission denied' in out, out
        else:
            assert code == OK, (name, out, err)
    prefix[2] = '--regid=%d' % NOBODY
    for name, args in needing('r'):
        code, _, err = filled.tried(args, prefix)
        assert code == NOPERM and 'may not read' in err, (name, err)


def test_two_hundred_thousand(copied):
    """The plans are in the unit tests; here everything still ends, and says
    what it leaves out."""
    now = int(time.time())
    with sqlite3.connect(copied.logins) as db:
        db.executemany(
            "INSERT INTO login VALUES (?, ?, 'imap', 'dovecot', ?, ?, ?, 1)",
            (('10.%d.%d.%d' % (i >> 16, i >> 8 & 255, i & 255), 'u%d' % i,
              now, now, now + (3600 if i % 2 else -3600))
             for i in range(200000)))
    db.close()
    with sqlite3.connect(copied.audit) as db:
        db.execute('PRAGMA synchronous = OFF')
        row = db.execute('SELECT * FROM channel_decision WHERE id = 1').fetchone()
        columns = [c[1] for c in db.execute('PRAGMA table_info(channel_decision)')]
        at, client = columns.index('at'), columns.index('client')
        rows = ((None, *row[1:at], now * 1000 - 200000 + i, *row[at + 1:])
                for i in range(200000))
        assert client > at
        db.executemany('INSERT INTO channel_decision VALUES (%s)' %
                       ','.join('?' * len(row)), rows)
    db.close()
    for name, (needs, args) in COMMANDS.items():
        if args is None or not needs or name == 'delete':
            continue
        code, out, err = copied.tried(args)
        assert code == (NONE if name == 'undeny' else OK), (name, err)
    assert copied.tried(['delete', '10.0.0.1'])[0] == OK
    assert 'more than these 1000' in copied.tried(['list'])[2]
    assert 'Of its newest 2000 decisions' in copied.tried(
        ['why', '192.0.2.1'])[1]
    assert copied.tried(['export'])[1].count('\n') > 100000
