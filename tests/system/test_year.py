# SPDX-License-Identifier: ISC
"""Lines without a year: a log of an earlier year that is read again, or for
the first time, lets nobody relay."""
import os
import time

import pytest

from lab.box import login
from lab.process import wait_for

AHEAD = 2 * 3600        # nearly a year old, or a clock that is wrong
YEAR = 365 * 86400


def too_old(site):
    return site.counts().get(('dovecot', 'too-old'), 0)


def test_ahead_in_a_log_that_was_there(site):
    at = time.time() + AHEAD
    site.write(login('192.0.2.1', at=at) + login('192.0.2.2'))
    daemon = site.start()
    wait_for(lambda: site.active() == {'192.0.2.2'})
    wait_for(lambda: too_old(site) == 1)
    assert site.said().count('is taken for one of an earlier year') == 1
    # Written under our eyes: the clock or its zone is wrong, not the year.
    site.write(login('192.0.2.3', at=at))
    wait_for(lambda: site.active() == {'192.0.2.2', '192.0.2.3'})
    assert site.said().count('ahead of this machine') == 1
    # what is put in the place of the log was there before, too
    old = site.path / 'old.log'
    old.write_text(login('192.0.2.4', at=at) * 3 + login('192.0.2.5'))
    os.rename(old, site.log)
    wait_for(lambda: '192.0.2.5' in site.active())
    wait_for(lambda: too_old(site) == 4)
    assert '192.0.2.4' not in site.active()
    site.stop(daemon)


def test_a_little_ahead(site):
    site.write(login('192.0.2.1', at=time.time() + 120))
    daemon = site.start()
    wait_for(lambda: site.active() == {'192.0.2.1'})
    site.stop(daemon)


@pytest.mark.parametrize('age, want', [(YEAR, set()), (0, {'192.0.2.1'})])
def test_this_hour_of_the_file_s_year(site, age, want):
    """The file was last written a year ago: so were its lines."""
    site.write(login('192.0.2.1', at=time.time() - 60) + login(
        '192.0.2.9', at=time.time() - 7200))
    os.utime(site.log, (time.time() - age,) * 2)
    daemon = site.start()
    wait_for(lambda: site.query("SELECT 1 FROM login_event WHERE client = "
                             "'192.0.2.9'"))
    wait_for(lambda: too_old(site) == (0 if want else 1))
    assert site.active() == want
    site.stop(daemon)


def test_with_a_year(site):
    """A stamp that has one is ahead of the clock, not a year old."""
    head = time.strftime('%Y-%m-%dT%H:%M:%SZ mail ',
                         time.gmtime(time.time() + AHEAD))
    site.write(login('192.0.2.1', head=head))
    daemon = site.start()
    wait_for(lambda: site.active() == {'192.0.2.1'})
    site.stop(daemon)
