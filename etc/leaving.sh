#!/bin/sh
# SPDX-License-Identifier: ISC
# leaving.sh - say what popgate leaves behind when its programs go: make
# uninstall and the packages call it before. Changes nothing.
#
#   leaving.sh [ROOT]
root=${1:-}

# Not comments: what a mail server reads.
asks_popgate() {
	[ -f "$1" ] && grep -v '^[[:space:]]*\(#\|dnl\)' "$1" |
		grep -q popgate
}

wired=
for file in "$root"/etc/postfix*/main.cf "$root"/etc/postfix*/master.cf \
    "$root"/etc/mail/sendmail.mc "$root"/etc/mail/sendmail.cf \
    "$root"/etc/exim*/exim*.conf "$root"/etc/exim*/exim*.conf.template \
    "$root"/etc/exim*/exim*.conf.localmacros "$root"/etc/exim*/conf.d/*/*; do
	! asks_popgate "$file" || wired="$wired    $file
"
done
if [ -n "$wired" ]; then
	cat <<EOF
*** popgate: THE MAIL SERVER STILL ASKS POPGATE ***
In a closed wiring, clients that it does not relay for itself now get a
temporary failure, and mail for your own domains still comes in. Nothing here
changes these files:
${wired}While popgate is installed, "popgatectl setup --undo" puts them back, if setup
made them. Else take popgate's lines out. Then reload the mail server.
EOF
fi
cat <<EOF
popgate: these stay, as they are: the configuration in $root/etc/popgate; databases
popgate: and setup's backups in $root/var/lib/popgate*; the users and groups popgate
popgate: and popgate-collector.
EOF
