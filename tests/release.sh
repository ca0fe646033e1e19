#!/bin/sh
# SPDX-License-Identifier: ISC
# release.sh - the commands of the README on a bare Debian of another release: a
# system of its own in a directory, made by debootstrap, that shares nothing with
# this one but the kernel, /dev and the network.
#
#   tests/release.sh bookworm|trixie [DIRECTORY]
#
# As root. `make test-release RELEASE=trixie` calls it. What is committed here
# is cloned into it; the packages come from where this system's come from.
# POPGATE_COMMANDS: others than the README's. POPGATE_INSTALL: packages that are
# there before, such as courier-imap or exim4-daemon-light. POPGATE_ARCH: another
# architecture that this processor runs, such as i386, in a directory of its own.
# POPGATE_BUSY=1: beside a program that keeps every processor busy.
set -eu
cd "$(dirname "$0")/.."
release=${1:?which release?}
tree=${2:-/var/tmp/popgate-$release}
top=$PWD
commands=${POPGATE_COMMANDS:-make deps && make && make demo && \
    make demo MTA=sendmail && make test && make install PREFIX=/usr && \
    make uninstall PREFIX=/usr}

[ "$(id -u)" = 0 ] || { echo "release.sh: be root" >&2; exit 77; }
for program in debootstrap git unshare; do
	command -v $program >/dev/null || {
		echo "release.sh: $program is not here: install it" >&2
		exit 69
	}
done

if [ ! -e "$tree/etc/popgate-made" ]; then
	if [ -e "$tree" ]; then
		echo "release.sh: $tree is no system that this made" >&2
		exit 73
	fi
	mirror=$(apt-get indextargets --format '$(REPO_URI)' \
	    'Created-By: Packages' | grep -v security | head -n 1)
	trap 'rm -rf "$tree"' EXIT
	debootstrap --variant=minbase --include=ca-certificates,git,make \
	    --arch="${POPGATE_ARCH:-$(dpkg --print-architecture)}" \
	    "$release" "$tree" "$mirror"
	trap - EXIT
	: >"$tree/etc/popgate-made"
fi
rm -rf "$tree/root/popgate"
git clone -q "$top" "$tree/root/popgate"
[ ! -e /etc/resolv.conf ] || cp /etc/resolv.conf "$tree/etc/resolv.conf"

# as the installer of Debian does; Sendmail waits a minute for its own name
grep -qw localhost "$tree/etc/hosts" 2>/dev/null ||
	printf '127.0.0.1 localhost\n::1 localhost\n' >>"$tree/etc/hosts"
grep -qw "$(hostname)" "$tree/etc/hosts" 2>/dev/null ||
	echo "127.0.1.1 $(hostname).example.org $(hostname)" >>"$tree/etc/hosts"

# Namespaces of its own: whatever is left mounted or running ends with it.
exec unshare -m -p --fork --kill-child sh -c '
tree=$1
mount --make-rprivate /
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount -t sysfs sys "$tree/sys"
# journald takes no message without
mount --rbind /sys/fs/cgroup "$tree/sys/fs/cgroup"
mount --rbind /dev "$tree/dev"
mount -t tmpfs -o mode=0755 tmpfs "$tree/run"
if [ -n "${POPGATE_BUSY:-}" ]; then
	for i in $(seq "$(nproc)"); do (while :; do :; done) & done
fi
inside() {
	env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
	    chroot "$tree" sh -c "cd /root/popgate && $1"
}
if [ -n "${POPGATE_INSTALL:-}" ]; then
	inside "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get \
	    -qq -y --no-install-recommends install $POPGATE_INSTALL"
fi
inside "$2"
' release "$tree" "$commands"
