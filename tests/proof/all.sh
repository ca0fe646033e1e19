#!/bin/sh
# SPDX-License-Identifier: ISC
# all.sh - run every proof to its end, then print a table of what became of them.
#
#   tests/proof/all.sh NAME...		make proof-NAME, one after another
set -u
failed=0
table=
for name in "$@"; do
	began=$(date +%s)
	if ${MAKE:-make} "proof-$name"; then
		result=holds
	else
		result=FAILED
		failed=1
	fi
	table="$table$(printf '%-12s %-8s %6d s' "$name" "$result" \
	    $(($(date +%s) - began)))
"
done
printf '\n%-12s %-8s %8s\n%s' proof result time "$table"
exit $failed
