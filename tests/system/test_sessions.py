# SPDX-License-Identifier: ISC
"""Sessions of real servers: who stays connected stays allowed (logins.sessions,
with a window of a second)."""
import contextlib
import time

import pytest

from lab.client import Line
from lab.courier import Courier
from lab.cyrus import Cyrus
from lab.dovecot import Dovecot
from lab.process import wait_for
from lab.site import PASSWORD

from test_logs import LoginLab

WINDOW = 1


class Session(Line):
    """A client that logs in and stays."""

    def __init__(self, lab, address, user):
        self.address = address
        super().__init__(getattr(lab.site, lab.protocol), address)
        self.receive()
        if lab.protocol == "imap":
            self.send(f"a login {user} {PASSWORD}")
            while not (line := self.receive()).startswith("a "):
                assert line
            assert line.startswith("a OK")
        else:
            for command in f"USER {user}", f"PASS {PASSWORD}":
                self.send(command)
                assert self.receive().startswith("+OK")


class SessionLab(LoginLab):
    def __init__(self, server, protocol):
        self.protocol = protocol
        super().__init__(server, "rfc3339")
        self.popgate.configure(window=f"{WINDOW}s", logins="sessions = true;")
        self.popgate.collector.kill()
        self.popgate.start_collector()

    @contextlib.contextmanager
    def end_in_log(self):
        """Something that ends alice's session, which the server logs."""
        log = self.site.log / "mail.log"
        before = log.stat().st_size
        yield
        wait_for(lambda: any(words in log.read_bytes()[before:] for words in (
            b": Disconnected: ", b"DISCONNECTED, user=alice, ",
            b"USAGE alice ")), "the end in the log")

    def restart_server(self):
        """Killed, and started again."""
        # of Courier, that which says that it starts
        process = getattr(self.server, "auth", None) or self.server.process
        process.kill()
        process.start()


# imapd of Cyrus 3.6 doesn't log that a client hangs up
@pytest.fixture(params=[(Dovecot, "imap"), (Courier, "imap"), (Cyrus, "pop3")],
                ids=lambda param: param[0].__name__)
def lab(request, keep):
    yield from keep(SessionLab(*request.param))


def test_session(lab):
    popgate = lab.popgate
    began = int(time.time())
    phone = Session(lab, "203.0.113.31", "alice")
    desk = Session(lab, "203.0.113.32", "bob")
    for session in phone, desk:
        wait_for(lambda: popgate.listed(session.address), "the login")
    # idle, three windows long
    idle_since = max(row["last_at"] for row in popgate.logins())
    wait_for(lambda: time.time() > idle_since + 3 * WINDOW, "time to pass")
    for session in phone, desk:
        row = popgate.listed(session.address)
        assert row["connected_service"] == lab.protocol
        assert popgate.may_relay(session.address)
        said = f"in {lab.protocol.upper()} since "
        for command in ("list", "--wide"), ("why", session.address), (
                "check", "--client", session.address, "--to", "x@far.test"):
            assert said in popgate.ctl(*command)
    # its end, while nobody reads
    popgate.collector.kill()
    with lab.end_in_log():
        phone.close()
    popgate.start_collector()
    wait_for(lambda: not popgate.may_relay(phone.address), "the expiry")
    ended, = [row for row in popgate.logins()
              if row["client"] == phone.address]
    assert began <= ended["expires_at"] - WINDOW <= time.time()
    assert popgate.may_relay(desk.address)
    # the end of the server
    lab.restart_server()
    wait_for(lambda: not popgate.may_relay(desk.address), "the restart")
    desk.close()
