# SPDX-License-Identifier: ISC
"""collector.mirror: files by which other programs let clients relay, kept by
the real collector. What is no longer permitted must not stay in them."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from lab.box import EX_CONFIG, CollectorBox, login, makemap
from lab.process import wait_for
from lab.site import BUILD

FORMATS = ('relayhosts', 'relayhostsusers', 'makemap', 'access', 'cidr',
           'hash', 'relayers.db')
FILES = {f: 'hash.db' if f == 'hash' else f for f in FORMATS}


class Mirror(CollectorBox):
    def __init__(self, path, formats=FORMATS, window='30m', relay='', more=''):
        self.dir = path / 'mirror'
        self.dir.mkdir()
        self.formats, self.window = formats, window
        self.relay, self.more = relay, more
        super().__init__(path)

    def file(self, form):
        return self.dir / FILES[form]

    def configure(self, **_):
        mirror = ', '.join('{ file = "%s"; format = "%s"; }' %
                           (self.file(f), f) for f in self.formats)
        self.conf.write_text(
            f'logins: {{ database = "{self.logins}"; window = "{self.window}"; '
            f'}};\nrelay: {{ never_authorize = [ "127.0.0.0/8" ]; '
            f'{self.relay} }};\n'
            f'collector: {{ user = "root"; sources = ( {{ file = '
            f'"{self.log}"; }} ); mirror = ( {mirror} {self.more} ); }};\n')

    def ctl(self, *args, code=0):
        return self.out(*args, code=code)

    def unmake(self, path):
        """Read the map as makemap does; it looks several times at a file, and
        doesn't take it when a rename came between."""
        for _ in range(20):
            done = subprocess.run(
                [makemap(), '-C', '/dev/null', '-u', 'hash', str(path)[:-3]],
                capture_output=True, text=True)
            if done.returncode == 0:
                break
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, form):
        path = self.file(form)
        if not path.exists() or path.stat().st_size == 0:
            return [] if path.exists() else None
        if FILES[form].endswith('.db'):
            return sorted(line.replace('\t', ' ') for line in
                          self.unmake(path).splitlines())
        return sorted(path.read_text().replace('\t', ' ').splitlines())

    def clients(self, form='relayhosts'):
        rows = self.rows(form)
        return None if rows is None else [
            row.split()[0] for row in rows if not row.startswith('ipv6:')]

    def until_clients(self, want, forms=None, seconds=120):
        for form in forms or self.formats:
            wait_for(lambda: self.clients(form) == want,
                  lambda: f'{form}: {self.rows(form)}\n{self.said()}',
                  seconds)

    def reports(self):
        done = self.run('mirror', '--json', code=None)
        return done.returncode, {os.path.basename(r['file']): r for r in
                                 map(json.loads, done.stdout.splitlines())}


@pytest.fixture
def made(tmp_path):
    sites = []

    def make(path=tmp_path, **kwargs):
        sites.append(Mirror(path, **kwargs))
        return sites[-1]
    yield make
    for site in sites:
        site.close()


def test_every_format_as_its_readers_want_it(made):
    m = made()
    m.write(login('192.0.2.1', 'alice') + login('192.0.2.1', 'bob') +
            login('2001:db8::7', 'carol'))
    daemon = m.start()
    m.until_clients(['192.0.2.1', '2001:db8::7'], [
        f for f in FORMATS if f != 'relayhostsusers'])
    assert m.rows('relayhostsusers') == ['192.0.2.1 alice', '192.0.2.1 bob',
                                         '2001:db8::7 carol']
    assert m.rows('access') == m.rows('cidr') == ['192.0.2.1 OK',
                                                  '2001:db8::7 OK']
    assert m.rows('hash') == ['192.0.2.1 RELAY', '2001:db8::7 RELAY', 'ipv6:2001:db8:0:0:0:0:0:7 '
                              'RELAY', 'ipv6:2001:db8::7 RELAY']
    ticks = {row.split()[1] for row in m.rows('relayers.db')}
    assert all(abs(time.time() - int(t)) < 60 for t in ticks)
    assert m.rows('makemap') == m.rows('relayers.db')
    # a login that comes now is there a moment later
    m.write(login('192.0.2.9', 'dora'))
    m.until_clients(['192.0.2.1', '192.0.2.9', '2001:db8::7'],
                    ['relayhosts', 'hash', 'cidr'])
    code, reports = m.reports()
    assert code == 0 and reports['hash.db']['entries'] == 5
    assert not any(r['outdated'] for r in reports.values())
    # nobody keeps them any more: they permit nothing
    m.stop(daemon)
    for form in FORMATS:
        assert m.clients(form) == [], form
    assert sorted(os.listdir(m.dir)) == sorted(FILES.values())


def test_what_ends_goes_and_what_is_denied_too(made):
    m = made(formats=('relayhosts', 'hash'), window='8s')
    m.start()
    m.write(login('192.0.2.1', 'alice'))
    m.until_clients(['192.0.2.1'])
    m.until_clients([])     # by itself
    m.ctl('add', '192.0.2.2', '--for', '1h')
    m.ctl('add', '192.0.2.3', '--for', '1h', '--user', 'eve')
    m.ctl('add', '192.0.2.4', '--for', '1h')
    m.until_clients(['192.0.2.2', '192.0.2.3', '192.0.2.4'])
    m.ctl('deny', '192.0.2.2', '--reason', 'spam')
    m.until_clients(['192.0.2.3', '192.0.2.4'])
    m.ctl('deny', '--user', 'EVE', '--reason', 'spam')
    m.until_clients(['192.0.2.4'])
    m.ctl('delete', '192.0.2.4')
    m.until_clients([])
    m.ctl('undeny', '192.0.2.2')
    m.until_clients(['192.0.2.2'])
    m.ctl('deny', '192.0.2.0/28', '--reason', 'all of them', '--for', '8s')
    m.until_clients([])
    m.until_clients(['192.0.2.2'])      # until the deny ends


def test_what_the_policy_refuses_is_never_in_it(made):
    m = made(relay='proxy_networks = [ "198.51.100.0/25" ]; '
             'shared_address_users = 2; shared_address = "refuse";')
    for client in ('127.0.0.1', '198.51.100.0/24', '198.51.100.7',
                   '203.0.113.0/24', '192.0.2.1'):
        m.ctl('add', client, '--forever')
    m.ctl('deny', '203.0.113.9', '--reason', 'one of that network')
    m.write(''.join(login('192.0.2.77', 'user%d' % i) for i in range(3)))
    m.write(login('192.0.2.78', 'evil\n192.0.2.99 x'))
    m.start()
    m.until_clients(['192.0.2.1'], [f for f in FORMATS
                                    if f != 'relayhostsusers'])
    assert m.clients('relayhostsusers') == []
    # a network without such holes can be said in a list of networks only
    m.ctl('undeny', '203.0.113.9')
    m.until_clients(['192.0.2.1', '203.0.113.0/24'], ['cidr'])
    assert m.clients('hash') == ['192.0.2.1']


def test_hostile_user_names_stay_on_their_line(made):
    m = made(formats=('relayhostsusers',))
    m.start()
    m.ctl('add', '192.0.2.1', '--user', 'evil\n192.0.2.99 mallory\x1b[2J')
    wait_for(lambda: m.rows('relayhostsusers'))
    text = m.file('relayhostsusers').read_text()
    assert text.count('\n') == 1 and text.startswith('192.0.2.1 evil\\')
    assert '\x1b' not in text


def test_owner_and_mode_are_kept_and_never_half_a_file(made):
    m = made(formats=('relayhosts', 'access'))
    path = m.file('relayhosts')
    path.write_text('203.0.113.250\n')     # of a collector that was killed
    path.chmod(0o640)
    os.chown(path, 65534, 4242)
    m.start()
    wait_for(lambda: path.read_text() == '')
    seen, bad, done = set(), [], threading.Event()

    def read():
        last = False
        while not last:
            last = done.is_set()
            text = path.read_text()
            if text and not text.endswith('\n') or text.count('\n') < max(
                    seen, default=0):
                bad.append(text[-40:])
            seen.add(text.count('\n'))
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for i in range(3000):
            m.write(login(f'10.1.{i >> 8}.{i & 255}', 'u'))
            if i % 1000 == 999:
                wait_for(lambda: path.read_text().count('\n') == i + 1, m.said)
    finally:
        done.set()
        reader.join()
    assert not bad and 3000 in seen
    st = path.stat()
    assert (st.st_mode & 0o7777, st.st_uid, st.st_gid) == (0o640, 65534, 4242)
    assert m.file('access').stat().st_mode & 0o7777 == 0o644


def test_left_by_a_kill_until_somebody_cleans_up(made):
    m = made(window='8s')
    daemon = m.start()
    m.write(login('192.0.2.1', 'alice'))
    m.until_clients(['192.0.2.1'])
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    wait_for(lambda: m.query('SELECT 1 FROM login WHERE expires_at <= '
                          'unixepoch()'))
    code, reports = m.reports()
    assert code == 1
    assert all(r['outdated'] == 1 and r['sample'] == '192.0.2.1'
               for r in reports.values())
    assert 'permits 1 that may relay no longer, such as 192.0.2.1' in \
        m.ctl('mirror', code=1)
    m.ctl('mirror', '--empty')
    for form in FORMATS:
        assert m.clients(form) == []
    assert m.reports()[0] == 0


def test_a_new_process_empties_before_anything_else(made):
    """Also when it can't read the table at all."""
    m = made(formats=('relayhosts', 'hash'))
    m.write(login('192.0.2.1', 'alice'))
    m.start()
    m.until_clients(['192.0.2.1'])
    m.daemons[0].kill()
    m.daemons[0].wait()
    for name in ('logins.db', 'logins.db-wal', 'logins.db-shm'):
        if (m.path / name).exists():
            os.unlink(m.path / name)
    m.logins.write_bytes(b'rubbish' * 1000)
    m.start(wait='')
    m.until_clients([])
    assert m.said().count('collector.mirror: ' + str(m.logins)) == 1


def test_a_table_that_breaks_permits_until_the_next_end_only(made):
    m = made(formats=('relayhosts',), window='8s')
    m.start()
    m.write(login('192.0.2.1', 'alice'))
    m.until_clients(['192.0.2.1'])
    for name in ('logins.db-wal', 'logins.db-shm'):
        os.unlink(m.path / name)
    other = m.path / 'rubbish'
    other.write_bytes(b'rubbish' * 1000)
    os.rename(other, m.logins)
    m.until_clients([])
    wait_for(lambda: "emptied, since it can't be brought up to date" in
          m.said(), m.said)


def test_a_full_disk_goes_on_permitting_nobody(made):
    """Not even an empty file can be made: the old one is cut or removed."""
    m = made(formats=('relayhosts', 'hash'), window='10s')
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k,nr_inodes=6',
                    'none', m.dir], check=True)
    try:
        m.start()
        m.write(login('192.0.2.1', 'alice'))
        m.until_clients(['192.0.2.1'])
        for n in range(10):
            try:
                (m.dir / str(n)).write_bytes(b'x' * 65536)
            except OSError:
                pass
        with pytest.raises(OSError):
            (m.dir / 'one-more').touch()
        # a hash that was removed makes room for the next empty one
        wait_for(lambda: not m.clients('relayhosts') and not m.clients('hash'),
              m.said, 30)
        assert m.said().count('No space left') == 2
        assert 'relayhosts: emptied' in m.said()
        for n in range(10):
            (m.dir / str(n)).unlink(missing_ok=True)
        m.write(login('192.0.2.2', 'bob'))
        m.until_clients(['192.0.2.2'])
        m.stop(m.daemons[0])
    finally:
        for daemon in m.daemons:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()
        subprocess.run(['umount', m.dir], check=True)


def test_a_directory_that_is_missing_stops_no_login(made):
    m = made(formats=('relayhosts',),
             more=', { file = "/nonexistent/x"; format = "access"; }')
    m.write(login('192.0.2.1', 'alice'))
    m.start()
    m.until_clients(['192.0.2.1'])
    time.sleep(2.5)
    m.write(login('192.0.2.2', 'bob'))
    m.until_clients(['192.0.2.1', '192.0.2.2'])
    assert m.said().count('/nonexistent/x') == 1      # said once
    code, reports = m.reports()
    assert code == 1 and 'No such file' in reports['x']['error']


def test_deleted_or_overwritten_it_comes_back(made):
    m = made(formats=('relayhosts',))
    m.ctl('add', '192.0.2.1', '--forever')
    m.start()
    m.until_clients(['192.0.2.1'])
    m.file('relayhosts').unlink()
    m.until_clients(['192.0.2.1'])
    other = m.path / 'other'
    other.write_text('0.0.0.0\n')
    os.rename(other, m.file('relayhosts'))
    m.until_clients(['192.0.2.1'])
    m.file('relayhosts').write_text('0.0.0.0\n')
    m.until_clients(['192.0.2.1'])


def test_reload(made):
    m = made(formats=('relayhosts', 'access'))
    m.ctl('add', '192.0.2.1', '--forever')
    daemon = m.start()
    m.until_clients(['192.0.2.1'])
    m.formats = ('access', 'hash')
    m.configure()
    daemon.send_signal(signal.SIGUSR1)
    m.until_clients(['192.0.2.1'])
    wait_for(lambda: m.clients('relayhosts') == [])
    # a configuration that is refused changes nothing
    good = m.conf.read_text()
    m.conf.write_text(good.replace('"hash"', '"btree"'))
    daemon.send_signal(signal.SIGUSR1)
    wait_for(lambda: 'nothing is changed' in m.said())
    m.conf.write_text(good)
    m.ctl('add', '192.0.2.2', '--forever')
    m.until_clients(['192.0.2.1', '192.0.2.2'])


# --- the programs that read them --------------------------------------------

@pytest.fixture
def public(made):
    """Below a directory that Sendmail calls safe, as /var/lib is."""
    path = Path(tempfile.mkdtemp(prefix='popgate-mirror-', dir='/var/lib'))
    path.chmod(0o755)
    yield lambda **kwargs: made(path=path, **kwargs)
    shutil.rmtree(path)


def two_clients(m):
    m.write(login('192.0.2.1', 'alice') + login('2001:db8::7', 'carol'))
    m.start()
    m.until_clients(['192.0.2.1', '2001:db8::7'])


# as a stranger with a name that resolves
ASK_SENDMAIL = """\
.D{client_addr}%s
.D{client_name}client.test
.D{client_resolve}OK
check_rcpt <someone@far.test>
"""


def test_sendmail_access_map(public):
    m = public(formats=('hash',))
    two_clients(m)
    package = BUILD / 'sendmail/usr'
    mc, cf = m.path / 'sendmail.mc', m.path / 'sendmail.cf'
    mc.write_text(f"""\
divert(-1)
include(`{package}/share/sendmail/cf/m4/cf.m4')
divert(0)dnl
OSTYPE(`linux')
define(`confDOMAIN_NAME', `mx.test')
define(`confDONT_PROBE_INTERFACES', `True')
define(`confSERVICE_SWITCH_FILE', `{m.path}/service.switch')
FEATURE(`nocanonify')
FEATURE(`accept_unresolvable_domains')
FEATURE(`access_db', `hash -T<TMPF> {str(m.file('hash'))[:-3]}')
MAILER(`local')
MAILER(`smtp')
""")
    (m.path / 'service.switch').write_text('hosts files\n')
    cf.write_text(subprocess.run(
        ['m4', f'-D_CF_DIR_={package}/share/sendmail/cf/', str(mc)],
        check=True, capture_output=True, text=True).stdout)

    def ask(client):
        done = subprocess.run(
            ['unshare', '-u', 'sh', '-c', 'hostname mx.test && exec "$@"',
             'sh', package / 'libexec/sendmail/sendmail', '-C', cf, '-bt'],
            input=ASK_SENDMAIL % client, capture_output=True, text=True)
        said = [line.split('returns: ', 1)[1] for line in
                done.stdout.splitlines() if 'check_rcpt       returns' in line]
        assert len(said) == 1, done
        return said[0]
    for client in ('192.0.2.1', 'IPv6:2001:db8:0:0:0:0:0:7',
                   'IPv6:2001:db8::7'):
        assert ask(client) == 'RELAY', client
    for client in ('192.0.2.2', '192.0.2.10', 'IPv6:2001:db8:0:0:0:0:0:8'):
        assert '550 Relaying denied' in ask(client), client
    # nobody keeps it: empty, and readable
    m.stop(m.daemons[0])
    assert '550 Relaying denied' in ask('192.0.2.1')
    # not there: not known
    m.file('hash').unlink()
    assert '451' in ask('192.0.2.1')


def test_postfix_maps(public):
    m = public(formats=('access', 'cidr'), more=', { file = "%s"; format = '
               '"hash"; value = "OK"; }')
    m.more = m.more % (m.dir / 'postfix.db')
    m.configure()
    m.ctl('add', '198.51.100.0/24', '--forever')
    m.write(login('192.0.2.1', 'alice') + login('2001:db8::7', 'carol'))
    m.start()
    m.until_clients(['192.0.2.1', '198.51.100.0/24', '2001:db8::7'],
                    ['cidr'])

    def ask(table, client):
        return subprocess.run(
            ['postmap', '-c', m.path, '-q', client, table], capture_output=True, text=True).stdout.strip()
    (m.path / 'main.cf').write_text('compatibility_level = 3.6\n')
    cidr = f"cidr:{m.file('cidr')}"
    for client in ('192.0.2.1', '198.51.100.200', '2001:db8::7'):
        assert ask(cidr, client) == 'OK', client
    for client in ('192.0.2.2', '198.51.101.1', '2001:db8::8'):
        assert ask(cidr, client) == '', client
    assert ask(f"texthash:{m.file('access')}", '192.0.2.1') == 'OK'
    assert ask(f"texthash:{m.file('access')}", '192.0.2.2') == ''
    table = f'hash:{m.dir}/postfix'
    for client in ('192.0.2.1', '2001:db8::7'):
        assert ask(table, client) == 'OK', client
    for client in ('192.0.2.2', '2001:db8::8', '198.51.100.200'):
        assert ask(table, client) == '', client
    m.stop(m.daemons[0])
    assert ask(cidr, '192.0.2.1') == ask(table, '192.0.2.1') == ''


EXIM = """\
primary_hostname = mx.test
log_file_path = {path}/%slog
spool_directory = {path}/spool
keep_environment =
hostlist popgate = <; {file}
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  accept hosts = +popgate
  deny message = relaying denied
"""


def test_exim_host_list(public):
    m = public(formats=('relayhosts',))
    two_clients(m)
    conf = m.path / 'exim.conf'
    conf.write_text(EXIM.format(path=m.path, file=m.file('relayhosts')))
    # its user, known in this mount namespace only
    for name, line in (('passwd', 'Debian-exim:x:64999:64999::/:/bin/false'),
                       ('group', 'Debian-exim:x:64999:')):
        (m.path / name).write_text(Path('/etc', name).read_text() + line +
                                   '\n')

    def ask(client):
        done = subprocess.run(
            ['unshare', '-m', 'sh', '-c', 'mount --bind "$1/passwd" '
             '/etc/passwd && mount --bind "$1/group" /etc/group && '
             'exec "$2" -C "$1/exim.conf" -bh "$3"', 'sh', m.path,
             BUILD / 'exim/usr/sbin/exim4', client],
            input='HELO x\nMAIL FROM:<a@b.test>\nRCPT TO:<c@far.test>\n'
            'QUIT\n', capture_output=True, text=True, timeout=120)
        replies = [line for line in done.stdout.splitlines()
                   if line[:3].isdigit()]
        assert len(replies) == 5, done
        return replies[3]
    for client in ('192.0.2.1', '2001:db8::7'):
        assert ask(client) == '250 Accepted', client
    for client in ('192.0.2.2', '192.0.2.10', '2001:db8::8'):
        assert ask(client) == '550 relaying denied', client
    m.stop(m.daemons[0])
    assert ask('192.0.2.1') == '550 relaying denied'


@pytest.mark.parametrize('mirror,relay,words', [
    ('{ file = "x"; format = "hash"; }', '', 'formats are makemap'),
    ('{ file = "/x"; format = "btree"; }', '', 'formats are makemap'),
    ('{ file = "/x"; }', '', 'formats are makemap'),
    ('{ file = "/x"; format = "hash"; mode = "0644"; }', '',
     'formats are makemap'),
    ('{ file = "/x"; format = "relayhosts"; value = "OK"; }', '',
     'only with access, hash or cidr'),
    ('{ file = "/x"; format = "access"; value = "OK\\n10.0.0.1 OK"; }', '',
     'printable ASCII'),
    ('{ file = "/x"; format = "access"; }, { file = "/x"; format = "cidr"; }',
     '', 'each file once'),
    ('{ file = "/x"; format = "hash"; }', '', 'ends with .db'),
    ('{ file = "/x.db"; format = "hash"; }', 'null_sender = "reject";',
     'would let in'),
    ('{ file = "/x.db"; format = "hash"; }', 'sender_binding = "domain";',
     'would let in')])
def test_bad_configuration(made, mirror, relay, words):
    m = made(formats=())
    m.conf.write_text(f'relay: {{ {relay} }};\ncollector: {{ mirror = '
                      f'( {mirror} ); }};\n')
    done = m.run('check-config', code=EX_CONFIG)
    assert words in done.stderr
    assert f'{m.conf}:2: collector.mirror' in done.stderr
