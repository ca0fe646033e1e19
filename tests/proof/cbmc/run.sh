#!/bin/sh
# SPDX-License-Identifier: ISC
# run.sh - prove each harness of this folder by CBMC, and that each of its mutants
# is refuted: a copy of the source that an expression of sed has spoiled.
#
#   tests/proof/cbmc/run.sh [HARNESS...]
#
# HARNESS.proof says its bound, CBMC's options and its mutants.
# Where CBMC isn't installed (Debian 12), it runs in a bare Debian 13 that
# tests/release.sh makes, with what is committed; as root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
if ! command -v cbmc >/dev/null; then
	export POPGATE_INSTALL="cbmc gcc libc6-dev"
	export POPGATE_COMMANDS="sh tests/proof/cbmc/run.sh $*"
	exec sh "$top/tests/release.sh" trixie
fi
checks="--bounds-check --pointer-check --pointer-overflow-check
    --signed-overflow-check --div-by-zero-check --undefined-shift-check
    --unwinding-assertions --no-malloc-may-fail"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

directives() { # HARNESS NAME
	sed -n "s/^$2: //p" "$here/$1.proof"
}

# prove HARNESS TREE: its sources are those of TREE
prove() {
	# shellcheck disable=SC2046,SC2086
	cbmc $checks -D_GNU_SOURCE -I "$2" $(directives "$1" options) \
	    "$here/$1.c" >"$work/out" 2>&1
}

tell() { # HARNESS WHAT RESULT BEGAN
	printf '%-8s %-7s %-9s %4d s  %s\n' "$1" "$2" "$3" \
	    $(($(date +%s) - $4)) "$(directives "$1" bound)"
}

run() {
	began=$(date +%s)
	if prove "$1" "$top"; then
		tell "$1" proof holds "$began"
	else
		tail -n 40 "$work/out"
		tell "$1" proof FAILED "$began"
		failed=1
	fi
	n=0
	directives "$1" mutant >"$work/mutants"
	while read -r file expression; do
		n=$((n + 1))
		began=$(date +%s)
		rm -rf "$work/tree"
		mkdir "$work/tree"
		cp -r "$top/common" "$top/milter" "$work/tree"
		sed -i "$expression" "$work/tree/$file"
		if cmp -s "$top/$file" "$work/tree/$file"; then
			echo "$1: mutant $n changes nothing: $expression"
			failed=1
		elif prove "$1" "$work/tree"; then
			tell "$1" "mut. $n" SURVIVED "$began"
			failed=1
		elif grep -q '^VERIFICATION FAILED' "$work/out"; then
			tell "$1" "mut. $n" refuted "$began"
		else
			cat "$work/out"
			failed=1
		fi
	done <"$work/mutants"
}

[ $# -gt 0 ] || set -- $(cd "$here" && ls ./*.c | sed 's|^\./||; s|\.c$||')
for harness; do
	run "$harness"
done
exit $failed
