# SPDX-License-Identifier: ISC
"""Entries of a real journald that count: messages of a server, and lines of
its output where no client can end one."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get('POPGATE_BUILD', ROOT / 'build')).resolve()
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason='needs root'),
    pytest.mark.skipif(not Path('/lib/systemd/systemd-journald').exists(),
                       reason='needs systemd-journald')]


def run(what):
    done = subprocess.run(
        ['unshare', '-mnp', '--fork', '--mount-proc', '--kill-child',
         sys.executable, Path(__file__).with_name('journal_lab.py'), BUILD,
         what], text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def clients(result):
    return {client for client, user, server in result['logins']}


def replayed(result, word='login'):
    return {line.split('\t')[2] for line in result['replay']
            if line.startswith(word)}


def reasons(result):
    return [line.split('\t')[3] for line in result['replay']]


def test_nginx_by_its_error_output():
    """A stranger with a wrong password, whose name holds a line feed and a
    line of nginx's, behind it."""
    result = run('nginx')
    assert clients(result) == {'192.0.2.99', '192.0.2.98', '127.0.0.9'}, result
    assert replayed(result) == clients(result)
    assert result['counts']['nginx stream-piece'] == 2      # forged and true
    assert reasons(result).count('stream-piece') == 2
    # what to do about it is said
    assert result['notes'].count('comes through its standard output') == 1
    assert 'stream-piece' in result['status']
    assert 'popgate-log-stream' in result['doctor']


def test_dovecot_by_its_error_output():
    """log_path = /dev/stderr: what nobody can forge counts."""
    result = run('dovecot')
    assert clients(result) == {'127.0.0.7', '192.0.2.99'}, result
    assert replayed(result) == clients(result)
    (line,) = [line for client, line in result['events']
               if client == '127.0.0.7']
    assert 'imap-login: Info: Login: user=<alice>' in line or \
        'imap-login: Info: Logged in: user=<alice>' in line
    # journald had nothing to cut
    assert not [key for key in result['counts'] if 'piece' in key], result


def test_pieces_of_lines():
    result = run('lines')
    good = {f'192.0.2.{i}' for i in (1, 2, 3, 4, 5, 99)}
    assert clients(result) == good, result
    # An exported entry of 48 KiB isn't read, so what is first of an output
    # behind it may go on with it.
    seen = {f'192.0.2.{i}' for i in (2, 3, 5, 99)}
    assert seen <= replayed(result) <= good
    counts = result['counts']
    # NUL, 48 KiB: the piece, and that behind it; the end of a program
    assert counts['custom cut-piece'] == 8
    assert counts['stalwart cut-piece'] == 3
    assert counts[' too-long'] == 2
    assert counts['stalwart stream-piece'] == 1
    assert counts['custom stream-piece'] == 1
    assert 11 <= reasons(result).count('cut-piece') <= 15


def test_dropped_by_journald():
    """The admin is told that journald dropped messages of a unit whose logins
    count."""
    result = run('flood')
    assert 'journald dropped messages of myescd.service' in result['notes']
    assert 'dropped: ' in result['status']
    assert 'LogRateLimitIntervalSec=0' in result['status']
