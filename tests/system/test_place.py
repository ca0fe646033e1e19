# SPDX-License-Identifier: ISC
"""Files that root writes in a directory of somebody else: that user swaps
every name as soon as it is there, and must get nothing by it."""
import os
import sqlite3
import stat
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lab.box import CTL, MILTER

NOBODY = 65534
ROUNDS = 30
# inotify(7): Berkeley DB makes a file, and then gives it its name
CREATED, RENAMED = 0x100, 0x80

# Puts a link to argv[2] under each name in argv[1] but argv[3], as soon as
# events argv[4] tell of it.
SWAP = """
import ctypes, os, struct, sys
directory, target, final, events = sys.argv[1:5]
os.chdir(directory)
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init()
assert libc.inotify_add_watch(fd, b'.', int(events)) >= 0
os.symlink(target, 'trap')
print('ready', flush=True)
while True:
    events = os.read(fd, 65536)
    while events:
        _, _, _, n = struct.unpack_from('iIII', events)
        name = events[16:16 + n].rstrip(b'\\0').decode()
        events = events[16 + n:]
        if name in ('trap', final) or os.path.islink(name):
            continue
        try:
            os.rename('trap', name)
        except IsADirectoryError:
            os.rename(name, 'taken%d' % len(os.listdir()))
            os.mkdir(name, 0o777)
            os.symlink(target, name + '/new')
            continue
        except OSError:
            continue
        os.symlink(target, 'trap')
"""


@pytest.fixture
def site():
    """A directory that nobody's user may reach, one of his in it, and a file
    of root's that he is after."""
    path = Path(tempfile.mkdtemp(prefix='popgate-place-', dir='/var/tmp'))
    path.chmod(0o755)
    (path / 'his').mkdir()
    os.chown(path / 'his', NOBODY, NOBODY)
    (path / 'secret').write_text('root only\n')
    (path / 'secret').chmod(0o600)
    yield path
    subprocess.run(['rm', '-rf', path], check=True)


@pytest.fixture
def swap(site):
    swappers = []

    def start(target, final, events):
        swapper = subprocess.Popen(
            [sys.executable, '-c', SWAP, site / 'his', target, final,
             str(events)],
            user=NOBODY, group=NOBODY, extra_groups=[],
            stdout=subprocess.PIPE, text=True)
        swappers.append(swapper)
        assert swapper.stdout.readline() == 'ready\n'
    yield start
    for swapper in swappers:
        swapper.kill()
        swapper.wait()


def untouched(site):
    st = (site / 'secret').lstat()
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (0, 0, 0o600)
    assert (site / 'secret').read_text() == 'root only\n'


def put_his_file(site, name):
    """There already, with a mode that he would like the other one to have."""
    path = site / 'new'
    path.write_text('')
    path.chmod(0o666)
    os.chown(path, NOBODY, NOBODY)
    path.rename(site / 'his' / name)


def configure(site, mirror):
    conf = site / 'popgate.conf'
    conf.write_text('relay: { never_authorize = [ "127.0.0.0/8" ]; };\n'
                    f'logins: {{ database = "{site}/logins.db"; }};\n'
                    f'audit: {{ database = "{site}/audit.db"; }};\n'
                    f'collector: {{ mirror = ( {mirror} ); }};\n')
    return conf


def ctl(conf, *args):
    return subprocess.run([CTL, '-c', conf, *args], capture_output=True,
                          text=True, timeout=60)


@pytest.mark.parametrize('events', [CREATED, RENAMED])
@pytest.mark.parametrize('command,form', [
    ('export', 'relayhosts'), ('export', 'hash'), ('mirror', 'relayhosts'),
    ('mirror', 'hash'), ('doctor', 'access')])
def test_a_new_file_is_the_one_that_gets_owner_and_mode(site, swap, command,
                                                        form, events):
    name = 'map.db' if form == 'hash' else 'map'
    conf = configure(site, f'{{ file = "{site}/his/{name}"; '
                     f'format = "{form}"; }}')
    assert ctl(conf, 'add', '192.0.2.1', '--forever').returncode == 0
    args = {'export': ('export', '--format', form, '--output',
                       site / 'his' / name),
            'mirror': ('mirror', '--empty'),
            'doctor': ('doctor', '--changes', site / 'his' / name)}[command]
    swap(site / 'secret', name, events)
    for _ in range(3 if command == 'doctor' else ROUNDS):
        if command != 'doctor':
            put_his_file(site, name)
        ctl(conf, *args)
        untouched(site)


@pytest.mark.parametrize('form', ['relayhosts', 'hash'])
def test_what_can_not_be_made_is_emptied_where_it_is(site, form):
    """On a full disk: but not what a link leads to."""
    name = 'map.db' if form == 'hash' else 'map'
    his = site / 'his'
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k,nr_inodes=3,'
                    f'mode=755,uid={NOBODY},gid={NOBODY}', 'none', his],
                   check=True)
    try:
        conf = configure(site, f'{{ file = "{his}/{name}"; '
                         f'format = "{form}"; }}')
        (his / 'more').touch()
        (his / name).symlink_to(site / 'secret')
        done = ctl(conf, 'mirror', '--empty')
        assert 'No space left' in done.stderr and done.returncode == 0
        untouched(site)
        assert not os.path.lexists(his / name)
        # his own one is emptied
        (his / name).write_text('192.0.2.1\n')
        os.chown(his / name, NOBODY, NOBODY)
        assert ctl(conf, 'mirror', '--empty').returncode == 0
        if form == 'hash':
            assert not (his / name).exists()
        else:
            assert (his / name).read_text() == ''
            # whose is it? somebody else's hard link would look the same
            (his / name).write_text('192.0.2.1\n')
            os.chown(his / name, 0, 0)
            assert ctl(conf, 'mirror', '--empty').returncode == 0
            assert not (his / name).exists()
    finally:
        subprocess.run(['umount', his], check=True)


@pytest.mark.parametrize('form', ['relayhosts', 'hash'])
def test_owner_and_mode_stay_and_set_id_does_not(site, form):
    path = site / 'map.db'
    path.write_text('')
    os.chown(path, NOBODY, 4242)
    path.chmod(0o6640)
    conf = configure(site, '')
    assert ctl(conf, 'add', '192.0.2.1', '--forever').returncode == 0
    done = ctl(conf, 'export', '--format', form, '--output', path)
    assert done.returncode == 0, done.stderr
    st = path.stat()
    assert (st.st_uid, st.st_gid) == (NOBODY, 4242)
    assert stat.S_IMODE(st.st_mode) == 0o640 and st.st_size > 0
    assert [p.name for p in site.glob('map.db*')] == ['map.db']
    # a link is replaced, and what it leads to is left alone
    link = site / 'link.db'
    link.symlink_to('secret')
    assert ctl(conf, 'export', '--format', form, '--output',
               link).returncode == 0
    untouched(site)
    assert link.is_file() and not link.is_symlink()
    assert stat.S_IMODE(link.stat().st_mode) == 0o644


def test_the_way_to_a_directory_is_not_led_elsewhere(site):
    """His directory's name may be a link to root's."""
    conf = configure(site, '')
    assert ctl(conf, 'add', '192.0.2.1', '--forever').returncode == 0
    (site / 'roots').mkdir()
    (site / 'roots/map').write_text('as it was\n')
    (site / 'his/own').mkdir()
    os.chown(site / 'his/own', NOBODY, NOBODY)
    (site / 'good').symlink_to('his/own/../own/.')

    def export(path):
        return ctl(conf, 'export', '--format', 'access', '--output', path)
    for way in (site / 'roots', '../roots', 'own/../../roots', '/etc/../' +
                str(site / 'roots')):
        (site / 'his/way').symlink_to(way)
        os.chown(site / 'his/way', NOBODY, NOBODY, follow_symlinks=False)
        done = export(site / 'his/way/map')
        assert done.returncode == 73, (way, done)
        assert f'user {NOBODY} could lead root' in done.stderr
        (site / 'his/way').unlink()
    assert (site / 'roots/map').read_text() == 'as it was\n'
    # a directory of root's that he has moved into his
    (site / 'his/moved').mkdir()
    assert 'could lead root' in export(site / 'his/moved/map').stderr
    for good in ('his/map', 'his/own/map', 'good/map', 'roots/map', 'map'):
        done = export(site / good)
        assert done.returncode == 0, done.stderr
        assert '192.0.2.1' in (site / good).read_text()
    assert 'Is a directory' in export(f'{site}/').stderr
    (site / 'loop').symlink_to('loop')
    assert 'Too many levels' in export(site / 'loop/map').stderr
    assert 'No such file' in export(site / 'none/map').stderr
    assert 'Not a directory' in export(site / 'secret/map').stderr
    assert 'File name too long' in export(f"{site}/{'x' * 300}").stderr


@pytest.mark.parametrize('which', ['milter', 'policy', 'status'])
def test_a_socket_is_the_one_that_gets_group_and_mode(site, swap, which):
    """As root, before it becomes milter.user."""
    his = site / 'his'
    os.chown(site, NOBODY, NOBODY)
    sockets = {name: site / name for name in ('milter', 'policy', 'status')}
    sockets[which] = his / 'socket'
    conf = site / 'popgate.conf'
    conf.write_text(
        f'logins: {{ database = "{site}/logins.db"; }};\n'
        f'audit: {{ database = "{site}/audit.db"; }};\n'
        f'milter: {{ user = "nobody"; group = "mail"; mode = "0666"; '
        f'listen = "unix:{sockets["milter"]}"; '
        f'status = "unix:{sockets["status"]}"; }};\n'
        f'permit: {{ policy = "unix:{sockets["policy"]}"; }};\n')
    swap(site / 'secret', 'none', CREATED)
    for _ in range(ROUNDS):
        (his / 'socket').unlink(missing_ok=True)
        daemon = subprocess.Popen(
            [MILTER, '-c', conf, '-l', 'stderr'],
            stderr=subprocess.PIPE, text=True)
        said = []
        for line in daemon.stderr:
            said.append(line)
            if 'ready' in line or 'put something else there' in line:
                break
        else:
            assert daemon.wait() != 0, said
        daemon.kill()
        daemon.stderr.read()
        daemon.wait()
        untouched(site)


def journal_that_names(db, victim):
    """A journal of a transaction over several databases that was killed: the
    next who opens db rolls it back, and then removes the super-journal that
    it names. Source: SQLite's pager.c, readSuperJournal()."""
    pages = db.stat().st_size // 4096
    name = os.fsencode(victim)
    head = struct.pack('>8sIIIII', bytes.fromhex('d9d505f920a163d7'), 0,
                       0x1234, pages, 512, 4096)
    return (head.ljust(512, b'\0') +
            struct.pack('>I', 0x40000000 // 4096 + 1) + name +
            struct.pack('>II', len(name), sum(name)) +
            bytes.fromhex('d9d505f920a163d7'))


def database(site, conf):
    """As the collector makes it, in a directory of his; then without a WAL,
    as he can have it at any time."""
    assert ctl(conf, 'add', '192.0.2.1', '--forever').returncode == 0
    path = site / 'his/logins.db'
    with sqlite3.connect(path) as db:
        assert db.execute('PRAGMA journal_mode = DELETE').fetchone() == (
            'delete',)
    db.close()
    assert path.stat().st_uid == NOBODY
    for left in site.glob('his/logins.db-*'):
        left.unlink()
    return path


@pytest.mark.parametrize('args', [
    ('add', '192.0.2.2', '--forever'), ('delete', '192.0.2.1'),
    ('deny', '192.0.2.1'), ('undeny', '192.0.2.1'), ('list',), ('status',)],
    ids=lambda args: args[0])
def test_a_database_makes_root_remove_nothing(site, args):
    conf = configure(site, '')
    conf.write_text(conf.read_text().replace(f'{site}/logins.db',
                                             f'{site}/his/logins.db'))
    db = database(site, conf)
    journal = site / 'his/logins.db-journal'
    journal.write_bytes(journal_that_names(db, site / 'secret'))
    os.chown(journal, NOBODY, NOBODY)
    ctl(conf, *args)
    untouched(site)


@pytest.mark.parametrize('name', ['logins.db', 'logins.db-wal',
                                  'logins.db-shm', 'logins.db-journal'])
@pytest.mark.parametrize('link', ['symbolic', 'hard'])
def test_a_database_that_is_a_link_is_not_written(site, name, link):
    conf = configure(site, '')
    conf.write_text(conf.read_text().replace(f'{site}/logins.db',
                                             f'{site}/his/logins.db'))
    database(site, conf)
    (site / 'secret').write_text('')
    path = site / 'his' / name
    path.unlink(missing_ok=True)
    if link == 'hard':      # as without fs.protected_hardlinks
        os.link(site / 'secret', path)
    else:
        path.symlink_to(site / 'secret')
    ctl(conf, 'add', '192.0.2.2', '--forever')
    ctl(conf, 'list')
    st = (site / 'secret').stat()
    assert (st.st_uid, stat.S_IMODE(st.st_mode), st.st_size) == (0, 0o600, 0)
