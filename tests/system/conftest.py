# SPDX-License-Identifier: ISC
"""Shared fixtures: one running lab per test class, logs of failed tests."""
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

pytest.register_assert_rewrite("matrix", "lab.box", "lab.daemons")

from lab.box import CollectorBox, CtlBox  # noqa: E402
from lab.process import tail  # noqa: E402
from lab.stock import Stock  # noqa: E402

# A run in the background of a shell, or by nohup, ignores these, and all would
# that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

running = []

# One worker takes a file, so those that take longest begin first.
LONGEST = ("test_shapes", "test_hostile", "test_doctor_live", "test_domains",
           "test_doctor", "test_postfix", "test_setup", "test_lists",
           "test_stage", "test_mirror", "test_exim")


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.path.stem
        return next((i for i, start in enumerate(LONGEST)
                     if name.startswith(start)), len(LONGEST))
    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def base(tmp_path_factory):
    """The directory of all tmp_path is made before a machine's own /tmp covers
    this one: what is made there is gone with that machine."""
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="session")
def keep():
    """Lends a lab to tests, knows it is running, closes it."""
    def keep(lab):
        running.append(lab)
        try:
            yield lab
        finally:
            running.remove(lab)
            lab.close()
    return keep


@pytest.fixture(scope="class")
def lab(request, keep):
    """The servers of the class's wiring, in namespaces of their own."""
    yield from keep(request.cls.wiring())


def lend(box):
    try:
        yield box
    finally:
        box.close()


@pytest.fixture
def stock(keep):
    """A machine with Debian's stock Postfix, without popgate's users."""
    yield from keep(Stock())


@pytest.fixture
def ready(keep):
    """The same with these users, which setup takes a moment to make."""
    yield from keep(Stock(with_users=True))


@pytest.fixture
def site(tmp_path):
    """A directory for popgate-collector."""
    yield from lend(CollectorBox(tmp_path))


@pytest.fixture
def box(tmp_path):
    """A directory for popgatectl."""
    yield from lend(CtlBox(tmp_path))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With a failure, show what the servers said last."""
    report = (yield).get_result()
    if report.failed and call.when == "call":
        for lab in running:
            for path in sorted(lab.site.log.iterdir()):
                text = tail(path, 30)
                if text:
                    report.sections.append((path.name, text))
