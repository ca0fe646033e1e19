#!/bin/sh
# SPDX-License-Identifier: ISC
# run.sh - prove the models of what the processes do together (logins.pml,
# relay.pml) by Spin, over all their states, and that each seeded fault is found.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for program in spin cc; do
	command -v $program >/dev/null || {
		echo "run.sh: $program is not here: install it" >&2
		exit 69
	}
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0

# check MODEL WANT [FAULT]: "0" errors, or "1"
check() {
	began=$(date +%s)
	rm -f pan* ./*.trail
	spin -a ${3:+"-D$3"} "$here/$1.pml" >/dev/null
	cc -O1 -DSAFETY -o pan pan.c
	./pan -m1000000 >out 2>&1 || true
	got=$(sed -n 's/.*errors: //p' out)
	states=$(sed -n 's/ *\([0-9]*\) states, stored.*/\1/p' out)
	case "$2,$got" in
	0,0) result=holds ;;
	1,1) result="refuted, as it should be" ;;
	*)
		result=WRONG
		failed=1
		cat out
		;;
	esac
	printf '%-8s %-26s %8s states %4d s  %s\n' "$1" "${3:--}" "$states" \
	    $(($(date +%s) - began)) "$result"
}

check logins 0
for fault in POSITION_FIRST LOGINS_FIRST DELETION_FORGOTTEN WORDS_NOT_READ; do
	check logins 1 FAULT_$fault
done
check relay 0
for fault in NO_WAIT WRITTEN_IS_ENOUGH TAKES_NOTHING; do
	check relay 1 FAULT_$fault
done
exit $failed
