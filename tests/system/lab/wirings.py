# SPDX-License-Identifier: ISC
"""The six ways to wire popgate to an MTA, each with all its servers."""
import contextlib
import itertools

from . import client, exim, tls
from .dovecot import Dovecot
from .popgate import Popgate
from .postfix import Postfix
from .process import wait_for
from .rsyslog import Rsyslog
from .sendmail import Sendmail, sasl
from .site import PASSWORD, NamespaceSite
from .world import World

# Clients that may say XCLIENT to Postfix: a proxy, and any that it spoke for
# last.
XCLIENT_HOST, XCLIENT_HOSTS = "203.0.113.250", "203.0.113.0/24"


class Lab:
    """One wiring, running: popgate, an MTA, Dovecot, rsyslog, the world."""

    file = None             # below etc/postfix or etc/sendmail
    closed = True           # the MTA refuses strangers without popgate
    channel = "milter"      # who decides about relays
    recipient_known = True      # to that channel
    auth_needs_popgate = True   # AUTH users can't relay when it is down
    sender_known = True         # to the channel that decides
    full_names = False          # of certificates, or the CN only
    certificates_known = True   # to that channel at all
    digests = True              # of certificates, to that channel
    aborts_known = True         # a milter sees what the client gives up
    own_recorded = True         # it is asked about our own recipients
    stamps = "traditional"
    # Senders that come to popgate as they are typed.
    routed_senders = ("@elsewhere.test:bob@lab.test",)
    nmap_refused = 8            # of its 16 forms, by popgate
    not_taken = ()              # forms of our own that the MTA doesn't take

    def __init__(self, *packages):
        self.site = NamespaceSite(*packages)
        self.hosts = itertools.count(1)
        try:
            self.furnish()
        except BaseException:
            self.close()
            raise

    def furnish(self):
        site = self.site
        self.rsyslog = Rsyslog(site, self.stamps).start()
        self.world = World(site, "world", site.world).start()
        self.inner = World(site, "inner", site.inner).start()
        self.dovecot = Dovecot(site).start()
        self.mta = self.make_mta()
        self.popgate = self.make_popgate().start()
        self.connect()
        self.mta.start()

    def make_popgate(self):
        return Popgate(self.site, self.domains, self.mta_group)

    def connect(self):
        """Do what is left when popgate's configuration is there."""

    def close(self):
        self.site.close()

    @contextlib.contextmanager
    def rules(self, relay="", **changes):
        """With these keys of relay as well; a reload is all it takes."""
        self.popgate.configure(relay=relay, **changes)
        self.popgate.ctl("reload")
        try:
            yield
        finally:
            self.popgate.configure()
            self.popgate.ctl("reload")

    # --- clients ---

    def stranger(self, family=4):
        """An address that nothing happened from yet."""
        host = next(self.hosts)
        return f"203.0.113.{host}" if family == 4 else f"2001:db8:1::{host:x}"

    def smtp(self, address):
        server = self.site.smtp6 if ":" in address else self.site.smtp
        return client.Smtp(server, address)

    def login(self, protocol, address, user="alice", password=PASSWORD,
              lease=None):
        """Log in; return when popgate knows (only if it should).
        lease: the network that the login counts for."""
        six = ":" in address
        if protocol == "pop3":
            server = self.site.pop3_6 if six else self.site.pop3
            let_in = client.pop3_login(server, address, user, password)
        else:
            server = self.site.imap6 if six else self.site.imap
            let_in = client.imap_login(server, address, user, password)
        assert let_in == (password == PASSWORD)
        if let_in:
            self.popgate.wait_login(lease or address, user)

    def logged_in(self, protocol="imap", family=4, user="alice"):
        address = self.stranger(family)
        self.login(protocol, address, user)
        return address

    def send(self, address, *recipients, sender="sender@elsewhere.test"):
        """One message in a session of its own."""
        with self.smtp(address) as smtp:
            return smtp.transaction(sender, *recipients)

    # --- what came of it ---

    def delivered_locally(self, token, box="alice"):
        wait_for(lambda: box in self.mta.delivered(token),
                 f"{token} in {box}'s mailbox")

    def escaped(self, token=""):
        """Everything the outside world got, with nothing on its way."""
        wait_for(lambda: not self.mta.queue(), "an empty queue")
        return self.world.recipients(token)


# A mistake of the administrator's: on this port Postfix relays for anybody.
BACK_DOOR = """\
2525 inet n - n - - smtpd
    -o smtpd_relay_restrictions=check_client_access,static:OK,reject
"""


class PostfixLab(Lab):
    mta_group = "postfix"

    def back_door(self):
        """A stranger's session that Postfix itself doesn't restrict."""
        return client.Smtp((self.site.address4, 2525), self.stranger())

    @property
    def domains(self):
        return [f"postfix:{self.site.root}/postfix/etc"]

    def make_mta(self):
        return Postfix(self.site, self.file, sasl=self.dovecot.sasl,
                       certificate=tls.certificate(self.site),
                       authority=tls.authority(self.site), xclient=XCLIENT_HOSTS, extra=BACK_DOOR)


class PostfixPolicy(PostfixLab):
    file = "closed.cf"
    channel = "policy"


class PostfixSocketmap(PostfixLab):
    file = "closed-socketmap.cf"
    channel = "socketmap"
    recipient_known = sender_known = digests = False
    certificates_known = False
    auth_needs_popgate = False
    stamps = "rfc3339"


class PostfixSoleGate(PostfixLab):
    file = "sole-gate.cf"
    closed = False
    digests = False


WHITELISTED = "203.0.113.251"       # by Sendmail, by mistake


class SendmailLab(Lab):
    full_names = True
    mta_group = "mail"
    route = "smart"

    def back_door(self):
        """The session of a client that Sendmail itself would relay for."""
        return self.smtp(WHITELISTED)

    @property
    def domains(self):
        directory = self.site.root / "sendmail"
        return [f"file:{directory}/local-host-names",
                "vmail.test", "relay.test", "mail.lab.test"]

    def make_mta(self):
        mta = Sendmail(self.site, self.file, self.route,
                       certificate=tls.certificate(self.site),
                       authority=tls.authority(self.site),
                       whitelisted=WHITELISTED)
        sasl(mta)
        return mta


class SendmailClosed(SendmailLab):
    file = "closed.m4"
    channel = "socketmap"
    stamps = "rfc3339"


class SendmailSoleGate(SendmailLab):
    file = "sole-gate.m4"
    closed = False
    route = "esmtp"


class EximClosed(Lab):
    channel = "policy"
    mta_group = "Debian-exim"
    auth_needs_popgate = False
    certificates_known = aborts_known = own_recorded = False
    routed_senders = ()         # Exim takes routes away
    nmap_refused = 3
    not_taken = (b"<alice@lab.test.>", b"<alice@localhost>",
                 b"<alice@[127.0.0.1]>")
    acl = exim.ACL

    def __init__(self):
        super().__init__("exim")

    @property
    def domains(self):
        return ["lab.test", "valias.test", "vmail.test", "relay.test",
                "mail.lab.test"]

    def make_mta(self):
        exim.make_user()
        return exim.Exim(self.site, self.acl,
                         certificate=tls.certificate(self.site))

    def connect(self):
        self.mta.wire(self.popgate)
