# SPDX-License-Identifier: ISC
"""Both daemons on files in a directory: no mail server, no namespace."""
import http.client
import json
import re
import socket

from prometheus_client.openmetrics.parser import \
    text_string_to_metric_families

from .box import COLLECTOR, MILTER, Box, login
from .process import wait_for

PROGRAMS = {"collector": COLLECTOR, "milter": MILTER}
POLICY = ("request=smtpd_access_policy\nprotocol_state=RCPT\n"
          "client_address={client}\nrecipient={to}\nsender=s@x.test\n\n")


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=120)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


class Daemons(Box):
    """Both daemons, on files in a directory."""

    def __init__(self, path):
        self.processes = {}
        super().__init__(path)
        self.log = self.path / 'mail "q\\.log'    # needs escaping
        self.log.touch()

    def configure(self, milter="", collector="", rest=""):
        at = self.path
        self.conf.write_text(f"""
logins: {{ database = "{self.logins}"; }};
audit: {{ database = "{self.audit}"; }};
milter: {{ user = "root"; listen = "unix:{at}/milter.sock";
          status = "unix:{at}/milter-status.sock"; {milter} }};
permit: {{ policy = "unix:{at}/policy.sock"; }};
relay: {{ local_domains = [ "lab.test" ]; collector_grace = "4s"; }};
collector: {{ user = "root";
             sources = ( {{ file = "{at}/mail \\"q\\\\.log"; }} );
             status = "unix:{at}/collector-status.sock"; {collector} }};
metrics: {{ milter = "unix:{at}/milter-metrics.sock";
           collector = "unix:{at}/collector-metrics.sock"; }};
{rest}
""")

    def start(self, name):
        """name: "milter" or "collector"."""
        program = PROGRAMS[name]
        before = len(self.said(program))
        self.processes[name] = self.launch(program)
        wait_for(lambda: re.search("ready: |started, ",
                                   self.said(program)[before:]),
                 f"popgate-{name} to be ready")

    def socket(self, name, page="status"):
        return self.path / f"{name}-{page}.sock"

    def stop(self, name):
        super().stop(self.processes.pop(name))
        assert not self.socket(name).exists()

    def close(self):
        """Both must have ended well."""
        try:
            for name in list(self.processes):
                self.stop(name)
        finally:
            super().close()

    def request(self, name, page="status", path="/health", method="GET",
                **kw):
        connection = UnixHTTP(self.socket(name, page))
        try:
            connection.request(method, path, **kw)
            answer = connection.getresponse()
            return answer, answer.read().decode()
        finally:
            connection.close()

    def health(self, name):
        answer, text = self.request(name)
        assert answer.status == 200
        assert answer.getheader("Content-Type") == "application/json"
        return json.loads(text)

    def metrics(self, name):
        """{family: family} by a parser of somebody else's."""
        answer, text = self.request(name, "metrics", "/metrics")
        assert answer.status == 200
        assert answer.getheader("Content-Type").startswith(
            "application/openmetrics-text; version=1.0.0")
        assert text.endswith("\n# EOF\n")
        return {f.name: f for f in text_string_to_metric_families(text)}

    def ask(self, client, to):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.path / "policy.sock"))
            s.sendall(POLICY.format(client=client, to=to).encode())
            return s.recv(2000).decode()

    def login(self, client, n=1):
        self.write(login(client) * n)

    def ctl(self, *args, code=0):
        done = self.run(*args, code=code)
        return done.stdout + done.stderr
