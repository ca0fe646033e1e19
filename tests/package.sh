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
# tests/package/chroot plays. POPGATE_BARE: a bare system to copy instead of
# calling debootstrap.
set -eu
cd "$(dirname "$0")/.."
release=${1:?which release?}
top=$PWD
home=${2:-/var/tmp/popgate-packages-$release}
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
if [ ! -e "$home/mail.0" ]; then
	say "a mail server"
	cp -a "$home/bare" "$home/mail.new"
	installs "$home/mail.new" systemd systemd-sysv dbus postfix \
	    dovecot-imapd dovecot-pop3d iproute2 python3-minimal sqlite3 \
	    bash-completion logcheck-database openssl
	rm -rf "$home/mail.new/root/popgate"
	mv "$home/mail.new" "$home/mail.0"
fi

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
make_packages

# furnish TREE - with both packages, and what tries them
furnish() {
	mkdir -p "$1/root/popgate/build-deb"
	cp "$home"/build/root/1/popgate/build-deb/popgate_*.deb \
	    "$1/root/popgate/build-deb"
	cp -r "$home/build/root/old" debian "$1/root/popgate"
	cp -r tests/package "$1/root/popgate/tests"
}

try_without_systemd() {
	say "installed and purged without systemd"
	rm -rf "$home/clean"
	cp -a "$home/bare" "$home/clean"
	rm -rf "$home/clean/root/popgate"
	furnish "$home/clean"
	within "$home/clean" "cd /root/popgate && sh tests/chroot/clean.sh"
	rm -rf "$home/clean"
}
try_without_systemd

# boot TREE - by its own systemd, without a network but loopback; sets $leader
boot() {
	# Debian 13's systemd refuses the host's version 1 of control groups
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn -q -D "$1" -b \
	    --register=no --keep-unit --private-network --kill-signal=SIGRTMIN+3 \
	    >"$home/console" 2>&1 </dev/null &
	container=$!
	for i in $(seq 1200); do
		leader=$(pgrep -P "$container" -x systemd || :)
		state=
		[ -z "$leader" ] || state=$(inside systemctl \
		    is-system-running 2>/dev/null || :)
		case $state in running) return ;; degraded) break ;; esac
		kill -0 "$container" || break
		sleep 0.1
	done
	cat "$home/console"
	inside systemctl --failed
	exit 1
}
inside() {
	nsenter -t "$leader" -m -u -i -n -p -C env -i HOME=/root \
	    PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
	    DEBIAN_FRONTEND=noninteractive "$@"
}
# one reboot: the same tree, systemd anew
reboot() {
	kill -RTMIN+4 "$leader"
	wait "$container" || :
	container=
	boot "$1"
}

say "a mail server boots"
rm -rf "$home/mail"
cp -a "$home/mail.0" "$home/mail"
furnish "$home/mail"
# the libraries that it needs: there is no network later
within "$home/mail" "apt-get -qq update
apt-get -qq --no-install-recommends --download-only -o Dpkg::Use-Pty=0 \
    install /root/popgate/build-deb/popgate_*.deb >/dev/null"
: >"$home/mail/etc/resolv.conf"
boot "$home/mail"
for part in tests/package/*.sh; do
	part=${part##*/}
	case $part in lib.sh) continue ;; esac
	case $part in *-rebooted.sh) say reboot; reboot "$home/mail" ;; esac
	say "$part"
	inside sh -c "cd /root/popgate && sh tests/$part" || {
		inside journalctl -q -n 15 --no-pager
		exit 1
	}
done
kill -RTMIN+4 "$leader"
wait "$container" || :
container=
say "all is well on $release"
