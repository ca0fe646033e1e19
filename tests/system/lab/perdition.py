# SPDX-License-Identifier: ISC
"""Perdition, a POP3 and IMAP proxy, before a Dovecot on other ports of the
same machine; from packages unpacked in build/perdition."""
import copy

from .dovecot import Dovecot
from .process import Process, need


class Perdition:
    packages = ("perdition",)

    def __init__(self, site):
        self.site = site
        behind = copy.copy(site)        # what Dovecot takes for the site
        behind.imap, behind.pop3 = ((site.address4, 2143),
                                    (site.address4, 2110))
        self.dovecot = Dovecot(behind, log_file=site.log / "dovecot.log")
        self.servers = [
            Process(f"perdition-{protocol}", [
                need("/usr/sbin/perdition", "build/perdition"),
                "--no_daemon", "--protocol", protocol, "--ssl_mode", "none",
                "--bind_address", address[0], "--listen_port", address[1],
                "--outgoing_server", f"{backend[0]}:{backend[1]}",
                "--log_facility", "mail", "--no_lookup",
                "--pid_file", site.root / f"perdition-{protocol}.pid",
                "--config_file", "/dev/null"], site.log)
            for protocol, address, backend in (
                ("IMAP4", site.imap, behind.imap),
                ("POP3", site.pop3, behind.pop3))]

    def start(self):
        self.dovecot.start()
        for process, address in zip(self.servers, (self.site.imap,
                                                   self.site.pop3)):
            process.start().accepts(address)
        return self
