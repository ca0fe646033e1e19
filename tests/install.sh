#!/bin/sh
# SPDX-License-Identifier: ISC
# install.sh - install Debian packages as root, starting no service of theirs,
# neither now nor at the next boot, and removing nothing.
#
#   tests/install.sh [--again] PACKAGE...
#
# tests/packages.sh calls it. --again: a run before this one was interrupted;
# complete what it has begun. Without a package, only clear away what it has
# left. Until this program and its children have ended, they
# hold a lock on /var/lib/dpkg. The policy-rc.d that forbids services asks for
# this lock: once nobody holds it, the file permits them and removes itself. So
# a run that was killed can't keep the machine's services from starting.
set -eu

policy=/usr/sbin/policy-rc.d
ours='made by install.sh of popgate'

is_ours() { grep -qs "$ours" $policy; }

remove_policy() { ! is_ours || rm -f $policy; }

# The services that run now, and may be restarted when one of their libraries
# is brought up to date.
running_services() {
	[ -d /run/systemd/system ] || return 0
	systemctl list-units --type=service --state=active --plain --no-legend |
	    awk '{ sub(/\.service$/, "", $1); printf " %s ", $1 }'
}

# The status of policy-rc.d: 101 forbids, 0 permits.
forbid_services() {
	[ ! -e $policy ] || return 0
	cat >$policy <<END
#!/bin/sh
# $ours
case '$(running_services)' in *" \${1%.service} "*) exit 0 ;; esac
flock -n /var/lib/dpkg true || exit 101
rm -f "\$0"
END
	chmod 755 $policy
}

# An admin who asks for a test server doesn't want it at the next boot either.
disable_services() {
	[ -d /run/systemd/system ] || return 0
	for package in "$@"; do
		case $package in
		postfix) service=postfix ;;
		dovecot-imapd) service=dovecot ;;
		rsyslog) service=rsyslog ;;
		sasl2-bin) service=saslauthd ;;
		*) continue ;;
		esac
		systemctl disable --quiet "$service" || :
	done
}

again=
[ "${1:-}" != --again ] || { again=yes; shift; }
exec 9</var/lib/dpkg
flock -n 9 || {
	echo "deps.sh: another installation is at work: waiting for its end" >&2
	flock 9
}
trap remove_policy EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
remove_policy
[ $# -gt 0 ] || exit 0
forbid_services
export DEBIAN_FRONTEND=noninteractive
apt() {
	apt-get -qq --no-remove --no-install-recommends -o Dpkg::Use-Pty=0 \
	    -o DPkg::Lock::Timeout=600 "$@"
}
if [ -n "$again" ]; then
	# it fails for those that need a package that isn't unpacked
	dpkg --configure -a || :
	apt --fix-broken install
fi
apt install "$@"
disable_services "$@"
