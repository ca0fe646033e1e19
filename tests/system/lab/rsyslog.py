# SPDX-License-Identifier: ISC
"""rsyslog: takes what the site's servers say at /dev/log, writes mail.log."""
import os
import signal
import stat

from .process import Process, need

TEMPLATES = {"traditional": "RSYSLOG_TraditionalFileFormat",
             "rfc3339": "RSYSLOG_FileFormat"}

CONFIG = """\
global(workDirectory="{root}/rsyslog")
module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0"
       SysSock.UsePIDFromSystem="off")
$FileOwner root
$FileGroup adm
$FileCreateMode 0640
$Umask 0022
mail.* action(type="omfile" file="{mail_log}" template="{template}"
              asyncWriting="off" flushOnTXEnd="on")
*.*;mail.none action(type="omfile" file="{root}/log/syslog"
              template="{template}")
"""


class Rsyslog:
    def __init__(self, site, stamps="traditional"):
        self.site = site
        site.make("rsyslog")
        config = site.root / "rsyslog" / "rsyslog.conf"
        config.write_text(CONFIG.format(
            root=site.root, mail_log=site.mail_log,
            template=TEMPLATES[stamps]))
        self.process = Process("rsyslogd", [
            need("/usr/sbin/rsyslogd", "rsyslog"), "-n", "-f", config,
            "-i", site.root / "rsyslog" / "pid"], site.log)

    def start(self):
        self.process.start().ready(lambda: _is_socket("/dev/log"), "/dev/log")
        return self

    # logrotate's two steps.
    def rename(self, suffix):
        log = self.site.mail_log
        log.rename(log.with_name(log.name + suffix))

    def reopen(self):
        self.process.send(signal.SIGHUP)


def _is_socket(path):
    return os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode)
