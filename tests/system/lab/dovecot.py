# SPDX-License-Identifier: ISC
"""Dovecot: POP3 and IMAP logins, and SMTP AUTH for Postfix."""
import shutil

from .process import Process, need
from .site import BUILD, PASSWORD, TOP, USERS

CONFIG = """\
base_dir = {run}
state_dir = {run}
protocols = imap pop3
listen = {listen}
{logging}
auth_mechanisms = plain login
auth_failure_delay = 0
disable_plaintext_auth = no
ssl = no
mail_location = maildir:{home}/%u
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {root}/dovecot/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/%u
}}
default_login_user = dovenull
default_internal_user = dovecot
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener {sasl} {{
    mode = 0660
    user = postfix
  }}
}}
"""

POST_LOGIN = """\
service {name} {{
  executable = {name} {name}-postlogin
}}
service {name}-postlogin {{
  executable = script-login {script} {name}
  user = $default_internal_user
  unix_listener {name}-postlogin {{
  }}
}}
"""


class Dovecot:
    def __init__(self, site, uid=64903, gid=64903, log_file=None,
                 post_login=None, users=USERS):
        """log_file: Dovecot writes it itself; otherwise it uses syslog.
        post_login: socket that etc/dovecot/popgate-post-login tells."""
        self.site = site
        site.make("dovecot", "dovecot/home")
        directory = site.root / "dovecot"
        (directory / "home").chmod(0o777)
        self.sasl = directory / "sasl"
        passwd = directory / "users"
        passwd.write_text("".join(f"{user}:{PASSWORD}\n" for user in users))
        config = directory / "dovecot.conf"
        config.write_text(CONFIG.format(
            run=directory / "run", root=site.root, home=directory / "home",
            listen=", ".join(filter(None, (site.address4, site.address6))),
            imap=site.imap[1], pop3=site.pop3[1], sasl=self.sasl,
            uid=uid, gid=gid, logging=f"log_path = {log_file}" if log_file
            else "syslog_facility = mail") +
            (self.post_login(directory, post_login) if post_login else ""))
        self.process = Process("dovecot", [
            need("/usr/sbin/dovecot", "dovecot-imapd dovecot-pop3d"),
            "-F", "-c", config], site.log)

    def post_login(self, directory, socket):
        """The sample, with a popgatectl that dovecot may execute."""
        shutil.copy(need(BUILD / "popgatectl", "nothing: run make"),
                    directory / "popgatectl")
        script = directory / "popgate-post-login"
        text = (TOP / "etc/dovecot/popgate-post-login").read_text()
        for old, new in (("PATH=", f"PATH={directory}:"),
                         ("--socket /run/popgate-collector/login.sock",
                          f"--socket {socket}")):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        script.write_text(text)
        script.chmod(0o755)
        # AddressSanitizer reserves more address space than services have
        limit = "default_vsz_limit = 0\n" if "san" in BUILD.name else ""
        return limit + "auth_username_chars =\n" + "".join(
            POST_LOGIN.format(name=name, script=script)
            for name in ("imap", "pop3"))

    def start(self):
        self.process.start().accepts(self.site.imap)
        self.process.accepts(self.site.pop3)
        return self
