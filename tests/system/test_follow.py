# SPDX-License-Identifier: ISC
"""A log that becomes another file while it is read: by real tools (cp, mv,
sed, mount), with a real rsyslogd that writes it; and what popgatectl says of
it.  Random histories of a log: tests/unit/logs/test_follow_histories.c."""
import json
import os
import signal
import socket
import subprocess

import pytest

from lab.box import CTL, is_root, login, stamp
from lab.proc import opened
from lab.process import wait_for


def sh(site, command):
    subprocess.run(['sh', '-ec', command], cwd=site.path, check=True)


def source_check(site):
    """The line of status about the log: state, words."""
    out = subprocess.run([CTL, '-c', site.conf, 'status', '--json'],
                         text=True, capture_output=True)
    for check in json.loads(out.stdout)['checks']:
        if check['what'].startswith('source '):
            return check['state'], check['words']
    return None, out.stdout + out.stderr


def is_ok(site):
    state, words = source_check(site)
    return state == 'OK' and 'but ' not in words


# The path becomes another file that holds what has been read: {log} in the
# directory log/.
REPLACED = {
    'cp, mv': 'cp -a log/mail.log log/new; mv log/new log/mail.log',
    'cp without times, mv': 'cp log/mail.log log/new; '
                            'mv log/new log/mail.log',
    'sed -i that changes nothing': "sed -i 's/^$//' log/mail.log",
    'sed -i that deletes the first line': 'sed -i 1d log/mail.log',
    'sed -i that deletes a line': 'sed -i 2d log/mail.log',
    'first line deleted in place': 'sed 1d log/mail.log >t; '
                                   'cat t >log/mail.log',
    'directory copied, renamed away, link': 'cp -a log new; mv log old; '
                                            'ln -s new log',
    'directory replaced': 'cp -a log new; mv log old; mv new log',
    'tail kept': 'tail -n 2 log/mail.log >log/new; mv log/new log/mail.log',
    'restored from an older copy': 'head -n 2 log/mail.log >log/new; '
                                   'mv log/new log/mail.log',
    'in the middle of a rotation, copied': 'cp log/mail.log log/mail.log.1; '
                                           'cp log/mail.log log/new; '
                                           'mv log/new log/mail.log',
}


def lines_once(site, n):
    rows = dict(site.query('SELECT client, count(*) FROM login_event '
                           'GROUP BY client'))
    return rows == {f'192.0.2.{i}': 1 for i in range(n)}


def in_directory(site):
    (site.path / 'log').mkdir()
    site.log = site.path / 'log' / 'mail.log'
    site.configure()
    for i in range(4):
        site.write(login(f'192.0.2.{i}'))
    daemon = site.start()
    wait_for(lambda: lines_once(site, 4), site.said)
    return daemon


@pytest.mark.parametrize('name', REPLACED)
@pytest.mark.parametrize('how', ['running', 'stopped', 'restarted'])
def test_replaced_by_a_copy(site, name, how):
    """Each line once, and status never says OK of a file that isn't read."""
    daemon = in_directory(site)
    if how == 'stopped':
        daemon.send_signal(signal.SIGSTOP)
    elif how == 'restarted':
        site.stop(daemon)
    sh(site, REPLACED[name])
    if how != 'running':
        # nobody has seen yet that it is another one, or shorter
        state, words = source_check(site)
        in_place = 'in place' in name
        assert state != 'OK', words
        assert ('shorter' if in_place else 'another file') in words
    else:
        # what is seen before more lines come, needs no guess
        wait_for(lambda: is_ok(site), lambda: source_check(site))
    for i in range(4, 7):
        site.write(login(f'192.0.2.{i}'))
    if how == 'stopped':
        daemon.send_signal(signal.SIGCONT)
    elif how == 'restarted':
        site.start()
    wait_for(lambda: lines_once(site, 7),
          lambda: site.said() + str(site.query(
              'SELECT client, count(*) FROM login_event GROUP BY client')))
    wait_for(lambda: is_ok(site), lambda: source_check(site))
    # and through the next rotation
    sh(site, 'mv log/mail.log log/mail.log.2')
    site.write(login('192.0.2.7'))
    wait_for(lambda: lines_once(site, 8), site.said)
    wait_for(lambda: is_ok(site), lambda: source_check(site))


@is_root
def test_mounted_over(site):
    """Another file system with a copy of the directory, as log2ram does."""
    in_directory(site)
    sh(site, 'cp -a log hdd; mount -t tmpfs none log; cp -a hdd/. log/')
    try:
        site.write(login('192.0.2.4'))
        wait_for(lambda: lines_once(site, 5), site.said)
        wait_for(lambda: is_ok(site), lambda: source_check(site))
        # copied back, and unmounted
        sh(site, 'cp -a log/. hdd/')
        sh(site, 'umount -l log; cp hdd/mail.log log/mail.log')
        site.write(login('192.0.2.5'))
        wait_for(lambda: lines_once(site, 6), site.said)
        wait_for(lambda: is_ok(site), lambda: source_check(site))
    finally:
        subprocess.run(['umount', '-l', site.path / 'log'],
                       capture_output=True)


def test_bytes_that_nobody_reads(site):
    """The table says that the log was read to its end, but not so far."""
    daemon = in_directory(site)
    site.stop(daemon)
    assert is_ok(site)
    with site.log.open('a') as f:
        f.write('x\n' * 5000)
    stat = site.log.stat()
    os.utime(site.log, (stat.st_atime, stat.st_mtime - 100))
    state, words = source_check(site)
    assert state == 'WARNING', words
    assert '10000 bytes' in words


def test_log_that_can_not_be_opened(site):
    """The path is another file, which can't be read: that isn't the end."""
    in_directory(site)
    sh(site, 'mv log/mail.log log/mail.log.1; mkdir log/mail.log')
    wait_for(lambda: 'no regular file' in site.said(), site.said)
    wait_for(lambda: source_check(site)[0] == 'CRITICAL',
          lambda: source_check(site), seconds=60)
    sh(site, 'rmdir log/mail.log')
    site.write(login('192.0.2.4'))
    wait_for(lambda: lines_once(site, 5), site.said)


def test_odd_generations(site):
    """Files of one number in several packings, a copy numbered above an older
    file, and a kill over each rotation."""
    daemon = in_directory(site)
    n = 4
    for pack in ('xz', 'zstd -q --rm', 'gzip', 'bzip2'):
        sh(site, 'cp log/mail.log log/mail.log.1; : >log/mail.log')
        daemon.kill()
        daemon.wait()
        sh(site, f'{pack} log/mail.log.1')
        site.write(login(f'192.0.2.{n}'))
        n += 1
        daemon = site.start()
        wait_for(lambda: lines_once(site, n), site.said)
    for number in (2, 3):
        site.write(login(f'192.0.2.{n}'))
        n += 1
        wait_for(lambda: lines_once(site, n), site.said)
        sh(site, f'cp log/mail.log log/mail.log.{number}; : >log/mail.log')
        site.write(login(f'192.0.2.{n}'))
        n += 1
        wait_for(lambda: lines_once(site, n), site.said)
        daemon.kill()
        daemon.wait()
        daemon = site.start()
        site.write(login(f'192.0.2.{n}'))
        n += 1
        wait_for(lambda: lines_once(site, n), site.said)


def send(dev, text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(str(dev))
        s.send(f'<22>{stamp()} {text}'.encode())


def test_real_rsyslogd(site):
    """rsyslogd goes on writing to the file that it has open until it is told:
    those lines count too."""
    conf, dev = site.path / 'rsyslog.conf', site.path / 'dev-log'
    (site.path / 'log').mkdir()
    site.log = site.path / 'log' / 'mail.log'
    site.configure()
    site.start()
    conf.write_text(f'''
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{dev}" RateLimit.Interval="0"
      UseSysTimeStamp="off")
action(type="omfile" file="{site.log}"
       template="RSYSLOG_TraditionalFileFormat")
''')
    rsyslog = subprocess.Popen(
        ['rsyslogd', '-n', '-f', conf, '-i', site.path / 'rsyslog.pid'],
        env={**os.environ, 'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'})
    n = 0

    def say():
        nonlocal n
        send(dev, login(f'192.0.2.{n}', head='').strip())
        n += 1
        wait_for(lambda: lines_once(site, n),
              lambda: site.said() + str(site.query(
                  'SELECT client, count(*) FROM login_event '
                  'GROUP BY client')))

    try:
        wait_for(dev.exists)
        wait_for(lambda: (site.path / 'rsyslog.pid').exists())
        say()
        for command in ('sed -i "s/^$//" log/mail.log',
                        'cp -p log/mail.log x; mv x log/mail.log',
                        'sed -i 1d log/mail.log',
                        'mv log/mail.log log/mail.log.1',
                        'mv log/mail.log.1 log/mail.log.2; '
                        'cp log/mail.log log/mail.log.1; : >log/mail.log',
                        'cp -a log new; mv log old; mv new log'):
            say()
            sh(site, command)
            # both of them see it, in either order
            if 'mail.log.1; : >' not in command:
                wait_for(lambda: 'another file' not in source_check(site)[1])
                say()
            rsyslog.send_signal(signal.SIGHUP)
            wait_for(lambda: opened(rsyslog.pid, site.log) or
                     send(dev, 'postfix/smtpd: connect from x'))
            say()
            wait_for(lambda: is_ok(site), lambda: source_check(site))
    finally:
        rsyslog.kill()
        rsyslog.wait()

