# SPDX-License-Identifier: ISC
"""Dovecot 2.3 or 2.4: POP3 and IMAP logins, and SMTP AUTH for Postfix."""
import functools
import re
import shutil
import subprocess

from .process import Process, need
from .site import BUILD, PASSWORD, TOP, USERS

# Settings that 2.4 has in other words than 2.3: mailboxes are in {home}, and
# the users in {users} (name:password) may log in without TLS.
STORE_2_3 = """\
disable_plaintext_auth = no
mail_location = maildir:{home}/%u
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {users}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/%u
}}
"""
STORE_2_4 = """\
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = {home}/%{{user}}
passdb passwd-file {{
  default_password_scheme = PLAIN
  passwd_file_path = {users}
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {home}/%{{user}}
  }}
}}
"""


@functools.cache
def is_2_4():
    """Is the Dovecot that is here 2.4 or newer?"""
    version = subprocess.run(
        [need("/usr/sbin/dovecot", "dovecot-imapd"), "--version"],
        capture_output=True, text=True, check=True).stdout
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2]) >= (2, 4)


def head():
    """The first line, which 2.4 asks for."""
    return "dovecot_config_version = 2.4.0\n" \
        "dovecot_storage_version = 2.4.0\n" if is_2_4() else ""


def store(home, users, uid, gid):
    return (STORE_2_4 if is_2_4() else STORE_2_3).format(
        home=home, users=users, uid=uid, gid=gid)


def login_line(user=""):
    """How its line of a login begins, behind the tag."""
    end = f"{user}>" if user else ""
    return f"{'Logged in' if is_2_4() else 'Login'}: user=<{end}"


CONFIG = """\
base_dir = {run}
state_dir = {run}
protocols = imap pop3
listen = {listen}
{logging}
auth_mechanisms = plain login
auth_failure_delay = 0
ssl = no
{store}default_login_user = dovenull
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
  user = dovecot
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
        config.write_text(head() + CONFIG.format(
            run=directory / "run",
            store=store(directory / "home", passwd, uid, gid),
            listen=", ".join(filter(None, (site.address4, site.address6))),
            imap=site.imap[1], pop3=site.pop3[1], sasl=self.sasl,
            logging=f"log_path = {log_file}" if log_file
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
