#!/bin/sh
# SPDX-License-Identifier: ISC
# package.sh - make Debian packages on a bare system of a release, and try them
# under the release's own systemd.
#
#   tests/package.sh bookworm|trixie [DIRECTORY]
#
# As root; `make test-package RELEASE=trixie` calls it, and takes minutes. Three
# systems in DIRECTORY (/var/tmp/popgate-packages-RELEASE): "bare", which
# debootstrap makes, and two copies that are made anew each time the packages
# are: "build" compiles, twice, and "mail" is a mail server that is booted by
# systemd-nspawn and plays tests/package/*.sh; a third one is there while
# tests/package/chroot plays. Beside other stock servers than Postfix and Dovecot
# only 1-install.sh plays, and under sysvinit and OpenRC only another-init.sh:
# POPGATE_STACKS says which of the six, all by default.
# POPGATE_BARE: a bare system to copy instead of calling debootstrap.
# POPGATE_MADE=1: the packages that were made before, which plays the stacks alone.
set -eu
cd "$(dirname "$0")/.."
release=${1:?which release?}
top=$PWD
home=${2:-/var/tmp/popgate-packages-$release}
stacks=${POPGATE_STACKS-postfix-dovecot sendmail-dovecot postfix-courier \
    exim-dovecot sysvinit openrc}
container=
leader=

say() { echo "== $*"; }
stop() {
	[ -z "$container" ] || kill -KILL "$container" $leader 2>/dev/null || :
	wait
	# its first process takes all others along
	while [ -n "$leader" ] && [ -e "/proc/$leader" ]; do sleep 0.1; done
	container=
}
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

[ "$(id -u)" = 0 ] || { echo "package.sh: be root" >&2; exit 77; }
for program in git unshare nsenter systemd-nspawn; do
	command -v $program >/dev/null || {
		echo "package.sh: $program is not here (packages git," \
		    "util-linux, systemd-container): install it" >&2
		exit 69
	}
done

# within TREE COMMAND - in namespaces that end with it
within() {
	[ ! -e /etc/resolv.conf ] || cp /etc/resolv.conf "$1/etc/resolv.conf"
	unshare -m -p --fork --kill-child sh -c '
	mount --make-rprivate /
	mount --bind "$1" "$1"
	mount -t proc proc "$1/proc"
	mount -t sysfs sys "$1/sys"
	mount --rbind /dev "$1/dev"
	mount -t tmpfs -o mode=0755 tmpfs "$1/run"
	exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	    LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
	    chroot "$1" sh -ec "$2"' within "$1" "$2"
}

# installs TREE PACKAGE... - no service starts
installs() {
	tree=$1; shift
	within "$tree" "printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
	apt-get -qq update
	apt-get -qq --no-install-recommends -o Dpkg::Use-Pty=0 install $* \
	    >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }
	rm /usr/sbin/policy-rc.d"
}

mkdir -p "$home"
if [ ! -e "$home/bare" ]; then
	if [ -n "${POPGATE_BARE:-}" ]; then
		cp -a "$POPGATE_BARE" "$home/bare.new"
	else
		sh tests/release.sh "$release" "$home/bare.new" true
	fi
	mv "$home/bare.new" "$home/bare"
fi
if [ ! -e "$home/build" ]; then
	say "a system that builds"
	cp -a "$home/bare" "$home/build.new"
	installs "$home/build.new" git dpkg-dev fakeroot lintian build-essential
	within "$home/build.new" "rm -rf /root/popgate"
	mv "$home/build.new" "$home/build"
fi
# what is the same in all mail servers
if [ ! -e "$home/booted.0" ]; then
	say "a system that boots"
	cp -a "$home/bare/." "$home/booted.new"
	installs "$home/booted.new" systemd systemd-sysv dbus iproute2 \
	    python3-minimal sqlite3 bash-completion logcheck-database openssl
	mv "$home/booted.new" "$home/booted.0"
fi

# packages_of STACK - of stock servers, as an admin installs them
packages_of() {
	case $1 in
	postfix-dovecot) echo postfix dovecot-imapd dovecot-pop3d ;;
	sendmail-dovecot) echo sendmail dovecot-imapd ;;
	postfix-courier) echo postfix courier-imap ;;
	exim-dovecot) echo exim4-daemon-light dovecot-imapd ;;
	sysvinit) echo sysvinit-core inetutils-syslogd procps postfix \
	    dovecot-imapd iproute2 python3-minimal systemd-standalone-sysusers ;;
	openrc) echo openrc "$(packages_of sysvinit)" ;;
	*) echo "package.sh: POPGATE_STACKS: '$1' is not known" >&2; exit 64 ;;
	esac
}

for stack in $stacks; do packages_of "$stack" >/dev/null; done

make_packages() {
	say "make deb, twice"
	from=$top
	for n in 1 2; do
		rm -rf "$home/build/root/$n"
		mkdir "$home/build/root/$n"
		git clone -q "$from" "$home/build/root/$n/popgate"
		from=$home/build/root/1/popgate	# somebody may commit meanwhile
		[ $n = 2 ] || within "$home/build" "apt-get -qq update
		cd /root/1/popgate
		apt -y --no-install-recommends build-dep ./ >/tmp/apt.log 2>&1 ||
		    { cat /tmp/apt.log; exit 1; }"
		within "$home/build" "cd /root/$n/popgate
		DEB_BUILD_OPTIONS='parallel=$(nproc) ${POPGATE_DEB_OPTIONS-}' \
		    make deb >/root/$n/log 2>&1 || { tail -n 40 /root/$n/log; exit 1; }"
	done
	for file in "$home"/build/root/1/popgate/build-deb/*.deb; do
		cmp "$file" "$home/build/root/2/popgate/build-deb/${file##*/}"
	done
	say "reproducible; lintian"
	# Not what only one release's lintian knows: a newer policy.
	within "$home/build" "cd /root/1/popgate/build-deb
	lintian --allow-root --pedantic --display-info --tag-display-limit 0 \
	    *.changes >/tmp/lintian
	! grep -v '^N:\|: out-of-date-standards' /tmp/lintian"

	# an older version: the same, but for a line of its configuration
	within "$home/build" 'cd /root
	rm -rf old
	mkdir old
	dpkg-deb -R 1/popgate/build-deb/popgate_*.deb old/tree
	sed -i "s/^Version: .*/Version: 0.0.9-1/" old/tree/DEBIAN/control
	echo "# as it was in 0.0.9" >>old/tree/etc/popgate/popgate.conf
	dpkg-deb -b old/tree old >/dev/null
	rm -r old/tree'
}
[ -n "${POPGATE_MADE:-}" ] || make_packages

# furnish TREE - with both packages, and what tries them
furnish() {
	rm -rf "$1/root/popgate"
	mkdir -p "$1/root/popgate/build-deb"
	cp "$home"/build/root/1/popgate/build-deb/popgate_*.deb \
	    "$1/root/popgate/build-deb"
	cp -r "$home/build/root/old" debian "$1/root/popgate"
	cp -r tests/package "$1/root/popgate/tests"
}

try_without_systemd() {
	say "installed and purged without systemd"
	rm -rf "$home/clean"
	cp -a "$home/bare/." "$home/clean"
	furnish "$home/clean"
	within "$home/clean" "cd /root/popgate && sh tests/chroot/clean.sh"
	rm -rf "$home/clean"
}
[ -n "${POPGATE_MADE:-}" ] || try_without_systemd

# boot TREE - by its own systemd, without a network but loopback; sets $leader
boot() {
	# Debian 13's systemd refuses the host's version 1 of control groups
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn -q -D "$1" -b \
	    --register=no --keep-unit --private-network --kill-signal=SIGRTMIN+3 \
	    >"$home/console" 2>&1 </dev/null &
	container=$!
	for i in $(seq 1200); do
		leader=$(pgrep -P "$container" -x 'systemd|init' || :)
		state=
		[ -z "$leader" ] || state=$(inside sh -c '
		if [ -d /run/systemd/system ]; then
			exec systemctl is-system-running
		fi
		runlevel | grep "[2-5]$" && ! pgrep -x "rc|openrc" &&
		    echo running' 2>/dev/null | tail -n 1)
		case $state in running) return ;; degraded) break ;; esac
		kill -0 "$container" || break
		sleep 0.1
	done
	cat "$home/console"
	inside systemctl --failed || :
	exit 1
}
inside() {
	nsenter -t "$leader" -m -u -i -n -p -C env -i HOME=/root \
	    PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
	    DEBIAN_FRONTEND=noninteractive "$@"
}
halt() {
	if inside test -d /run/systemd/system; then
		kill -RTMIN+4 "$leader"
	else
		inside poweroff
	fi
	wait "$container" || :
	container=
}

# play STACK PART... - on a mail server that is made anew
play() {
	stack=$1; shift
	say "a mail server boots: $stack"
	rm -rf "$home/mail"
	case $stack in
	sysvinit | openrc) cp -a "$home/bare/." "$home/mail" ;;
	*) cp -a "$home/booted.0/." "$home/mail" ;;
	esac
	# as the installer of Debian does; Sendmail waits a minute for its own name
	echo mail >"$home/mail/etc/hostname"
	printf '%s\n' '127.0.0.1 localhost' '::1 localhost' \
	    "127.0.1.1 mail.example mail $(hostname)" >"$home/mail/etc/hosts"
	# shellcheck disable=SC2046 # a list of words
	installs "$home/mail" $(packages_of "$stack")
	furnish "$home/mail"
	# the libraries that it needs: there is no network later
	within "$home/mail" "apt-get -qq update
	apt-get -qq --no-install-recommends --download-only -o Dpkg::Use-Pty=0 \
	    install /root/popgate/build-deb/popgate_*.deb >/dev/null"
	: >"$home/mail/etc/resolv.conf"
	boot "$home/mail"
	for part in "$@"; do
		case $part in
		*-rebooted.sh | again) say reboot; halt; boot "$home/mail" ;;
		esac
		[ "$part" != again ] || part=another-init.sh
		say "$part"
		inside sh -c "cd /root/popgate && sh tests/$part $stack" || {
			inside journalctl -q -n 15 --no-pager ||
			    inside tail -n 15 /var/log/syslog
			exit 1
		}
	done
	halt
}

parts=1-install.sh
[ -n "${POPGATE_MADE:-}" ] || parts="1-install.sh 2-systemd.sh 3-rebooted.sh"
for stack in $stacks; do
	case $stack in sysvinit | openrc) parts="another-init.sh again" ;; esac
	# shellcheck disable=SC2086 # a list of words
	play "$stack" $parts
	parts=1-install.sh
done
say "all is well on $release"
