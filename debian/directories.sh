#!/bin/sh
# directories.sh - what systemd-tmpfiles and the unit of popgate-milter do: for
# the init scripts, as there may be no systemd-tmpfiles.
set -e
while read -r type dir mode user group rest; do
	case $type in
	d) install -d -m "$mode" -o "$user" -g "$group" "$dir" ;;
	esac
done </usr/lib/tmpfiles.d/popgate.conf
# sockets inherit the group, which is the mail server's
if [ -x /usr/sbin/postfix ] && getent group postfix >/dev/null; then
	chgrp postfix /run/popgate
elif getent group Debian-exim >/dev/null; then
	chgrp Debian-exim /run/popgate
fi
