#!/bin/sh
# SPDX-License-Identifier: ISC
# deps.sh - install what building, testing and the demo need (Debian 12, 13).
#
#   tests/deps.sh build|unit|demo-postfix|demo-sendmail|test
#
# As root or with sudo. Does nothing when everything is there, removes nothing,
# and goes on where a run before it was interrupted. No package that it installs
# starts a service: see tests/install.sh.
set -eu

what=${1:-test}
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/packages.sh
. "$here/packages.sh"

build="gcc make pkg-config libmilter-dev libsqlite3-dev libconfig-dev
	libidn2-dev libpcre2-dev libsystemd-dev zlib1g-dev liblzma-dev
	libbz2-dev libzstd-dev libdb5.3-dev libmicrohttpd-dev
	libc-ares-dev libssl-dev libhiredis-dev libsodium-dev"
check="libcmocka-dev libseccomp-dev clang llvm libclang-rt-dev|libclang-rt-14-dev clang-tidy
	clang-format cppcheck
	sqlite3 mandoc python3 perl python3-prometheus-client systemd procps"

case $what in
build)		packages=$build ;;
unit)		packages="$build libcmocka-dev python3 sqlite3" ;;
demo-*)		packages=$build ;;
test)		packages="$build $check" ;;
*)		echo "deps.sh: '$what': expected build, unit," \
		    "demo-postfix, demo-sendmail or test" >&2
		exit 64 ;;
esac

# shellcheck disable=SC2086 # a list of words
install_packages $packages
case $what in
demo-*)		sh "$here/system/deps.sh" "${what#demo-}" ;;
test)		sh "$here/system/deps.sh" all ;;
esac
