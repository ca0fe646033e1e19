#!/bin/sh
# SPDX-License-Identifier: ISC
# matrix.sh - build programs and tests with every compiler that is here, at
# each level of optimizing, with -flto, without sharing, and for i386. A warning
# is an error. `make matrix` runs it; it says what it skipped (docs/HACKING.md has
# where to find those compilers). A build without sharing, and an i386 build that
# links, also pass their unit tests. Words as arguments choose:
#
#   sh tests/matrix.sh clang-19 i386
set -u
cd "$(dirname "$0")/.."
wanted=" $* "
done='' failed='' skipped=''

# build NAME COMPILER AR CFLAGS: what is built goes to build-matrix/NAME
build() {
	case $wanted in "  " | *" $1 "*) ;; *) return ;; esac
	echo "== $1: $2 $4"
	if make -s -j"$(nproc)" -O check-build WERROR=1 \
	    BUILD="build-matrix/$1" CC="$2" AR="$3" CFLAGS="$4" \
	    >"build-matrix/$1.log" 2>&1; then
		done="$done $1"
	else
		failed="$failed $1"
		tail -n 20 "build-matrix/$1.log"
		return 1
	fi
}

mkdir -p build-matrix
for v in 12 13 14 15; do
	if ! command -v gcc-$v >/dev/null; then
		skipped="$skipped gcc-$v"
		continue
	fi
	build gcc-$v gcc-$v ar "-O2 -g"
done
for v in 14 15 16 17 18 19 20; do
	if ! command -v clang-$v >/dev/null; then
		skipped="$skipped clang-$v"
		continue
	fi
	build clang-$v clang-$v ar "-O2 -g"
done
build gcc-O0 gcc ar "-O0 -g"
build gcc-O3 gcc ar "-O3 -g"
build gcc-lto gcc gcc-ar "-O2 -g -flto=auto"
# without hiredis and libsodium everything works but sharing; who wants it is told
case $wanted in "  " | *" no-share "*)
	export HAVE_SHARE=
	conf=build-matrix/no-share.conf
	cat >$conf <<-END
		share: { servers = [ "127.0.0.1:6379" ]; key_file = "/x"; };
	END
	build no-share gcc ar "-O2 -g" &&
	    make -s unit BUILD=build-matrix/no-share &&
	    ! ldd build-matrix/no-share/popgate-collector |
	    grep -E 'hiredis|sodium' &&
	    build-matrix/no-share/popgatectl -c $conf check-config 2>&1 |
	    grep 'built without sharing' || failed="$failed no-share-unit"
	unset HAVE_SHARE
	;;
esac
# the 32-bit libraries need a system of their own, such as an i386 chroot;
# there, make check is all that is to be run
if echo 'int main(void) { return 0; }' |
    gcc -m32 -x c -o build-matrix/probe - -lsqlite3 -lconfig -lmilter \
	-lmicrohttpd -lcares -lsystemd -lidn2 -lcmocka 2>/dev/null; then
	build i386 "gcc -m32" ar "-O2 -g" &&
	    make -s unit BUILD=build-matrix/i386 CC="gcc -m32" || failed="$failed i386-unit"
else
	skipped="$skipped i386"
fi
echo "built:$done"
echo "skipped, since they aren't here:$skipped"
echo "failed:${failed:- none}"
[ -z "$failed" ]
