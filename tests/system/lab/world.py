# SPDX-License-Identifier: ISC
"""The rest of the Internet: smtp-sink, which keeps what it is given."""
import re

from .process import PATIENCE, Process, need, wait_for


class World:
    def __init__(self, site, name, address):
        self.address = address
        self.directory = site.root / name
        self.directory.mkdir()
        self.directory.chmod(0o777)
        self.process = Process(name, [
            need("/usr/sbin/smtp-sink", "postfix"), "-u", "nobody",
            "-d", f"{self.directory}/%s.", f"{address[0]}:{address[1]}",
            "100"], site.log)

    def start(self):
        self.process.start().accepts(self.address)
        return self

    def messages(self):
        """[(recipients, text)] of everything that got out, oldest first."""
        files = sorted(self.directory.iterdir(),
                       key=lambda path: path.stat().st_mtime_ns)
        texts = [path.read_text(errors="replace") for path in files]
        return [(re.findall(r"^X-Rcpt-Args: <(.*?)>", text, re.M), text)
                for text in texts if "X-Rcpt-Args:" in text]

    def recipients(self, token=""):
        return [address for recipients, text in self.messages()
                for address in recipients if token in text]

    def wait_recipients(self, token, seconds=PATIENCE):
        """The recipients of the message; waits until it is there as a
        whole."""
        return wait_for(lambda: any(token + "\n" in text.replace("\r", "")
                                    for _, text in self.messages())
                        and self.recipients(token),
                        f"{token} at the sink", seconds)
