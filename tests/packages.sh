# SPDX-License-Identifier: ISC
# packages.sh - install Debian packages without starting a service and without
# removing anything. Read by tests/deps.sh and tests/system/deps.sh.
# shellcheck shell=sh

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Programs that a Debian policy would start: 101 means "do not".
policy=/usr/sbin/policy-rc.d
made_policy=
forbid_services() {
	[ ! -e $policy ] || return 0
	made_policy=yes
	as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"
}
allow_services() {
	[ -z "$made_policy" ] || as_root rm -f $policy
	made_policy=
}
trap allow_services EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

updated=
update() {
	[ -z "$updated" ] || return 0
	as_root apt-get -qq update
	updated=yes
}

installed() {
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null |
		grep -qx installed
}

# Can this release install it?
known() {
	apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'
}

# choose_package 'NAME|NAME|...' - the first that is installed, else the first
# that this release has, else the last: packages are called otherwise from
# release to release. With nothing behind the last "|": else none.
choose_package() {
	names=$(echo "$1" | tr '|' ' ')
	for name in $names; do
		! installed "$name" || { echo "$name"; return; }
	done
	for name in $names; do
		! known "$name" || { echo "$name"; return; }
	done
	echo "${1##*|}"
}

choose_packages() {
	for word in "$@"; do choose_package "$word"; done
}

install_packages() {
	missing=
	for word in "$@"; do
		there=
		for name in $(echo "$word" | tr '|' ' '); do
			! installed "$name" || there=yes
		done
		case $word in
		*\|) known "${word%|}" || there=none ;;
		esac
		[ -n "$there" ] || missing="$missing $word"
	done
	[ -n "$missing" ] || return 0
	update
	# shellcheck disable=SC2086 # a list of words
	missing=$(choose_packages $missing | tr '\n' ' ')
	forbid_services
	# shellcheck disable=SC2086 # a list of words
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq --no-remove \
		--no-install-recommends -o Dpkg::Use-Pty=0 install $missing ||
		no_packages $missing
	allow_services
	# Not at the next boot either: nobody asked for these services.
	[ -d /run/systemd/system ] || return 0
	for package in $missing; do
		case $package in
		postfix) service=postfix ;;
		dovecot-imapd) service=dovecot ;;
		rsyslog) service=rsyslog ;;
		*) continue ;;
		esac
		as_root systemctl disable --quiet "$service"
	done
}

no_packages() {
	echo "deps.sh: apt-get could not install, without removing what is" \
	     "here: $*. Install them yourself, or use a machine or container" \
	     "where they don't conflict with anything." >&2
	exit 1
}
