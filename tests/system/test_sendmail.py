"""Sendmail 8.17 in its two wirings."""
from lab import wirings
from matrix import Matrix


class TestClosed(Matrix):
    wiring = wirings.SendmailClosed
    forms = "sendmail-smart"


class TestSoleGate(Matrix):
    wiring = wirings.SendmailSoleGate
    forms = "sendmail-esmtp"
