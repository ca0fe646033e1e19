# SPDX-License-Identifier: ISC
"""popa3d, which says in two lines who logged in from where; from the package
unpacked in build/popa3d. POP3 over IPv4 only, for users with a password."""
import pathlib
import subprocess

from . import namespace
from .process import Process, need
from .site import PASSWORD, USERS


class Popa3d:
    packages = ("popa3d",)

    def __init__(self, site):
        self.site = site
        with open("/etc/passwd", "a") as passwd:
            passwd.write("popa3d:x:64921:65534::/nonexistent:/bin/false\n")
        secret = subprocess.run(
            ["openssl", "passwd", "-6", PASSWORD], check=True, text=True,
            capture_output=True).stdout.strip()
        with open("/etc/shadow", "a") as shadow:
            for user in USERS:
                shadow.write(f"{user}:{secret}:19000:0:99999:7:::\n")
        pathlib.Path("/etc/pam.d/popa3d").write_text(
            "auth required pam_unix.so\naccount required pam_unix.so\n")
        namespace.cover("/var/lib", "/run/cover/var-lib")
        pathlib.Path("/var/lib/popa3d").mkdir()     # where it chroots
        # it goes to the background, where the namespace's end finds it
        program = need("/usr/sbin/popa3d", "build/popa3d")
        self.process = Process("popa3d", [
            "/bin/sh", "-c", f"{program} -D && exec sleep infinity"],
            site.log)

    def start(self):
        self.process.start().accepts(self.site.pop3)
        return self
