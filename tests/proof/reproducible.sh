#!/bin/sh
# SPDX-License-Identifier: ISC
# reproducible.sh - what is committed, built twice: in directories of different
# names, at different times, by different locales, time zones and masks, in
# another order. What make install makes of it must be equal, byte for byte.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d /var/tmp/popgate-twice-XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
first=$work/a/popgate
second=$work/a-much-longer-directory
mkdir -p "$first" "$second"
for tree in "$first" "$second"; do
	git archive HEAD | tar -x -C "$tree"
done
(cd "$first" && umask 022 && TZ=UTC LC_ALL=C env -u MAKEFLAGS \
    make -s -j"$(nproc)" install DESTDIR="$work/1" >"$work/log" 2>&1) || {
	tail -n 20 "$work/log"; exit 1; }
# another second, and other times of its files
find "$second" -type f -exec touch -d '2 days ago' {} +
(cd "$second" && umask 027 && TZ=Asia/Tokyo LC_ALL=C.UTF-8 env -u MAKEFLAGS \
    make -s -j1 install DESTDIR="$work/2" >"$work/log" 2>&1) || {
	tail -n 20 "$work/log"; exit 1; }
diff -r "$work/1" "$work/2"
# diff says nothing when there is nothing
[ -x "$work/1/usr/local/sbin/popgate-milter" ]
sha256sum "$work"/1/usr/local/sbin/popgate* | sed "s|$work/1||"
