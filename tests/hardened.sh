#!/bin/sh
# SPDX-License-Identifier: ISC
# hardened.sh - are the programs built as the Makefile's HARDEN says?
#
#   tests/hardened.sh BUILD
#
# What Debian's hardening-check looks for, and the control-flow marks and stack
# probes of x86; by readelf and objdump, which come with the compiler.
set -eu
build=${1:?which build?}
bad=0

# expect PROGRAM WHAT TEXT PATTERN
expect() {
	printf '%s\n' "$3" | grep -q "$4" || {
		echo "hardened: $1: no $2" >&2
		bad=1
	}
}

for program in popgate-milter popgate-collector popgatectl; do
	file=$build/$program
	head=$(readelf -hW "$file")
	parts=$(readelf -lW "$file")
	dynamic=$(readelf -dW "$file")
	names=$(readelf -W --dyn-syms "$file")

	expect $program "position independence" "$head" 'Type: *DYN'
	expect $program "position independence" "$dynamic" 'FLAGS_1.*PIE'
	expect $program "read-only relocations" "$parts" GNU_RELRO
	expect $program "immediate binding" "$dynamic" 'BIND_NOW\|FLAGS_1.*NOW'
	expect $program "stack protector" "$names" __stack_chk_fail
	expect $program "fortified functions" "$names" '__[a-z]*_chk'
	expect $program "stack without code" "$parts" 'GNU_STACK.* RW  *0x'
	case $dynamic in *TEXTREL*|*RPATH*|*RUNPATH*)
		echo "hardened: $program: text relocations or a run path" >&2
		bad=1 ;;
	esac
	case $head in *X86-64*) ;; *) continue ;; esac
	code=$(objdump -d --no-show-raw-insn "$file" |
	    sed -n 's/.*\(endbr64\|sub *$0x1000,%rsp\).*/\1/p' | sort | uniq -c)
	# a mark where each function begins; a page at a time, so that no stack
	# grows past its guard
	expect $program "control-flow marks" "$code" '[0-9][0-9][0-9] endbr64'
	expect $program "probes of the stack" "$code" sub
done

# what a milter of this machine has no use for; a wrong call in a shared file
# would bring it
if readelf -dW "$build/popgate-milter" | grep -q 'hiredis\|libssl\|libsodium'; then
	echo "hardened: popgate-milter: linked with what speaks to Redis" >&2
	bad=1
fi
exit $bad
