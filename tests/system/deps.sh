#!/bin/sh
# SPDX-License-Identifier: ISC
# deps.sh - install what the system tests and the demo need (Debian 12, 13).
#
# Debian packages are installed without starting a single service, and without
# removing one.  Sendmail and Exim conflict with Postfix, and Courier, Cyrus and
# other POP and IMAP servers with Dovecot, so their packages are only unpacked,
# below build/sendmail, build/exim, build/courier and so on; where one of them
# is installed, Postfix or Dovecot are unpacked instead.
#
#   tests/system/deps.sh [all|postfix|sendmail]    default: all
#
# Works as root or with sudo; does nothing when everything is there already.
set -eu

what=${1:-all}
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${POPGATE_BUILD:-$top/build}

# shellcheck source=tests/packages.sh
. "$top/tests/packages.sh"

# unpack DIRECTORY PACKAGE... - as installed, but below DIRECTORY only.
unpack() {
	directory=$1
	shift
	words=$*
	[ "$(cat "$directory/.complete" 2>/dev/null)" != "$words" ] || return 0
	update
	scratch=$directory.packages
	rm -rf "$scratch"
	mkdir -p "$scratch"
	# shellcheck disable=SC2046 # a list of words
	set -- $(choose_packages "$@")
	(cd "$scratch" &&
	 apt-get -qq -o APT::Sandbox::User=root download "$@")
	rm -rf "$directory"
	mkdir -p "$directory"
	for archive in "$scratch"/*.deb; do
		dpkg -x "$archive" "$directory"
	done
	rm -rf "$scratch"
	echo "$words" >"$directory/.complete"
}

# The libraries that packages need and that are packages of their own.
libraries_of() {
	apt-cache depends --no-recommends --no-suggests --no-conflicts \
	    --no-breaks --no-replaces --no-enhances "$@" |
		awk '/Depends: lib/ { print $2 }' | sort -u
}

# install_or_unpack DIRECTORY PACKAGE... - installed, unless this would remove a
# package, or add a part to a server that is in use here: dovecot-pop3d lets a
# Dovecot that had IMAP alone serve POP3. Then all are unpacked below DIRECTORY,
# where lab/site.py finds them.
install_or_unpack() {
	directory=$1
	shift
	here='' missing=''
	for package in "$@"; do
		if installed "$package"; then
			here="$here $package"
		else
			missing="$missing $package"
		fi
	done
	if [ -z "$missing" ]; then
		rm -rf "$directory"
		return
	fi
	update
	[ ! -e "$unfinished" ] || here=
	removed=$(would Remv "$@")
	if [ -z "$here$removed" ]; then
		rm -rf "$directory"
		install_packages "$@"
		return
	fi
	echo "deps.sh: to install $* would${removed:+ remove ${removed% }}${here:+ change$here}:" \
	    "unpacking them below $directory instead"
	# shellcheck disable=SC2046 # a list of words
	install_packages $(libraries_of "$@")
	unpack "$directory" "$@"
}

# Not to be used by this machine: no main.cf for it.
if ! installed postfix && command -v debconf-set-selections >/dev/null; then
	echo 'postfix postfix/main_mailer_type select No configuration' |
		as_root debconf-set-selections
fi
# Postfix is needed in any case: smtp-sink is part of it. The demo needs none of
# its parts.
if [ "$what" = all ] || ! installed postfix; then
	install_or_unpack "$build/postfix" postfix postfix-pcre postfix-sqlite
fi
install_or_unpack "$build/dovecot" dovecot-core dovecot-imapd dovecot-pop3d
install_packages python3 openssl m4 sqlite3 iproute2 util-linux mount
case $what in
all|sendmail)
	install_packages 'libdb5.3t64|libdb5.3' 'libldap2|libldap-2.5-0' \
		liblockfile1 libnsl2 libwrap0
	unpack "$build/sendmail" sendmail-bin sendmail-base sendmail-cf
	;;
esac

case $what in
all)
	install_or_unpack "$build/rsyslog" rsyslog
	install_packages sasl2-bin libsasl2-modules libsasl2-modules-db make \
		patch gzip bzip2 xz-utils zstd
	install_packages nmap python3-pytest python3-pytest-xdist libidn12 \
		'libgdbm6t64|libgdbm6' libltdl7 'libicu76|libicu72' \
		libjansson4 'libpcre2-posix3|' 'libpcre3|' libxml2 \
		'libevent-2.1-7t64|libevent-2.1-7' \
		'libgnutls-dane0t64|libgnutls-dane0' libnsl2
	# the program of one of them, without its service
	install_packages 'redis-tools|valkey-tools'
	# dnsmasq-base: the program without its service; tmux: a terminal
	install_packages dnsmasq-base tmux
	unpack "$build/exim" exim4-daemon-light exim4-config exim4-base
	unpack "$build/courier" courier-base courier-pop courier-imap \
		courier-authlib courier-authlib-userdb \
		'libcourier-unicode8|libcourier-unicode4' 'libgamin0|'
	# with their libraries, which nothing else here needs
	unpack "$build/cyrus" cyrus-common cyrus-imapd cyrus-pop3d \
		'libical3t64|libical3' libxapian30 libzephyr4 libclamav12 libpq5
	unpack "$build/perdition" perdition libvanessa-adt1 \
		libvanessa-logger0 'libvanessa-socket2t64|libvanessa-socket2' libpopt0
	unpack "$build/popa3d" popa3d
	# a mail proxy that writes client names raw into its error log
	unpack "$build/nginx" nginx libnginx-mod-mail
	;;
esac
