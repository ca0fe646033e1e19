"""Shared fixtures: one running lab per test class, logs of failed tests."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

pytest.register_assert_rewrite("matrix")

from lab.process import tail  # noqa: E402

running = []


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
