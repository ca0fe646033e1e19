# SPDX-License-Identifier: ISC
"""Real MTAs while popgate-milter has too many sessions, and while it stops:
nothing opens, nothing that was answered is lost."""
import contextlib
import signal
import time

from lab import wirings
from lab.process import wait_for
from matrix import OWN, REMOTE


class DaemonMatrix:
    @contextlib.contextmanager
    def restarted(self, lab, sessions):
        """The milter with these settings; and as it was."""
        lab.popgate.milter.stop()
        lab.popgate.configure(sessions=sessions)
        lab.popgate.start_milter()
        try:
            yield
        finally:
            lab.popgate.milter.stop()
            lab.popgate.configure()
            lab.popgate.start_milter()

    def test_too_many_sessions(self, lab):
        """A temporary failure for everything, also for a client that may
        relay, and for one that the MTA lets through by mistake."""
        client = lab.logged_in("imap", user="bob")
        with self.restarted(lab, "max_sessions = 2;"):
            with lab.smtp(client) as one, lab.smtp(client) as two:
                for smtp in (one, two):
                    assert smtp.mail("s@elsewhere.test").code == 250
                    assert smtp.rcpt(REMOTE).code == 250
                for _ in range(3):
                    try:
                        sent = lab.send(client, REMOTE)
                    except ConnectionError:
                        continue        # hung up on, quite right
                    assert sent.data is None
                    for reply in (sent.mail, *sent.rcpt):
                        assert reply.code // 100 == 4 or \
                            reply is sent.mail and reply.code == 250 or \
                            reply.code in (0, 503), sent
                with lab.back_door() as smtp:
                    sent = smtp.transaction("spam@elsewhere.test", REMOTE)
                assert sent.data is None and sent.rcpt[0].code // 100 != 2
                # those that were there first don't notice
                token = "token-first-" + client
                assert one.data(token).code == 250
            assert lab.world.wait_recipients(token) == [REMOTE]
            # and there is room again
            def again():
                done = lab.send(client, REMOTE)
                return done.data is not None and done.data.code == 250
            wait_for(again, "a session")
        assert sent.token not in lab.world.recipients()

    def test_stop_drains(self, lab):
        """A message on its way when SIGTERM comes goes on to its end, and
        its decisions are on disk; who comes now doesn't relay."""
        client = lab.logged_in("imap", user="bob")
        with self.restarted(lab, 'drain_timeout = "1m";'):
            milter = lab.popgate.milter
            with lab.smtp(client) as smtp:
                assert smtp.mail("s@elsewhere.test").code == 250
                assert smtp.rcpt(REMOTE).code == 250
                milter.send(signal.SIGTERM)
                wait_for(lambda: b"stopping: waiting for 1 sessions" in
                         milter.log.read_bytes(), "the drain")
                assert smtp.rcpt("second@remote.test").code == 250
                token = "token-drain-" + client
                assert smtp.data(token).code == 250
                # strangers, while it drains
                late = lab.send(lab.stranger(), REMOTE)
                assert late.data is None
                if lab.closed:
                    # the MTA decides about its own mail by itself
                    own = lab.send(lab.stranger(), OWN)
                    assert own.data.code == 250, own
                assert milter.running
                rows = [row for row in lab.popgate.decisions(client=client)
                        if row["verdict"] == "accept"]
                assert {row["recipient"].strip("<>") for row in rows} >= \
                    {REMOTE, "second@remote.test"}
            wait_for(lambda: not milter.running, "its end")
            assert milter.stop() == 0
            assert b"stopped; 0 sessions were open" in milter.log.read_bytes()
            # gone: no relay, for nobody
            for address in (client, lab.stranger()):
                sent = lab.send(address, REMOTE)
                assert sent.data is None
                assert sent.rcpt[0].code // 100 == 4 or \
                    sent.mail.code // 100 == 4, sent
            lab.popgate.start_milter()
            assert sorted(lab.world.wait_recipients(token)) == \
                sorted([REMOTE, "second@remote.test"])

    def test_killed_within_a_message(self, lab):
        """kill -9 between RCPT and DATA: what was decided isn't on disk, and
        what isn't on disk isn't relayed by a milter that guards alone; a
        closed MTA relays what popgate had permitted and recorded."""
        client = lab.logged_in("imap", user="bob")
        with lab.smtp(client) as smtp:
            assert smtp.mail("s@elsewhere.test").code == 250
            assert smtp.rcpt(REMOTE).code == 250
            lab.popgate.milter.kill()
            token = "token-killed-" + client
            reply = smtp.data(token)
        lab.popgate.start_milter()
        if reply.code == 250:
            assert lab.closed
            assert lab.popgate.wait_decision(
                client=client, verdict="accept")["channel"] == lab.channel
        else:
            assert reply.code // 100 == 4 or reply.code == 0, reply
            time.sleep(0.5)
            assert REMOTE not in lab.world.recipients(token)


class TestPostfixPolicy(DaemonMatrix):
    wiring = wirings.PostfixPolicy


class TestPostfixSoleGate(DaemonMatrix):
    wiring = wirings.PostfixSoleGate


class TestSendmailClosed(DaemonMatrix):
    wiring = wirings.SendmailClosed


class TestSendmailSoleGate(DaemonMatrix):
    wiring = wirings.SendmailSoleGate
