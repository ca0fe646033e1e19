#!/bin/sh
# SPDX-License-Identifier: ISC
# map.sh - docs/MAP.md, a line a module, from the first sentence of each
# module's first comment: the header's, or the .c file's where it has none.
#
#   tests/map.sh          is the map as the files are? make check asks
#   tests/map.sh --write  make it so
set -eu
cd "$(dirname "$0")/.."
map=docs/MAP.md

# the first sentence of a file's first comment, on one line
first() {
	awk '
	/SPDX-License-Identifier/ { next }
	!begun && !/^\/\*/ { exit }
	{ begun = 1 }
	{
		sub(/^\/\*/, "")
		end = sub(/\*\/.*/, "")
		sub(/^ \*/, "")
		text = text $0
		if (end)
			exit
	}
	END {
		gsub(/[ \t]+/, " ", text)
		sub(/^ /, "", text)
		sub(/ $/, "", text)
		sub(/^[A-Za-z0-9_, -]+ - /, "", text)
		if (match(text, /[.?:]( [A-Z0-9"{]|$)/))
			text = substr(text, 1, RSTART)
		sub(/[.:]$/, "", text)
		gsub(/[*|<>_]/, "\\\\&", text)
		print text
	}' "$1"
}

modules() {
	find common collector milter ctl -name '*.c' | sed 's/\.c$//' |
	    sed 's|\(.*\)/\(.*\)|\1 \2|' | LC_ALL=C sort | tr ' ' /
}

print_map() {
	printf '# Map\n\nA line a module, made by `make map` from the first '
	printf 'comment of its header or source.\n'
	room=
	for m in $(modules); do
		if [ "$room" != "${m%/*}" ]; then
			room=${m%/*}
			printf '\n## %s/\n\n' "$room"
		fi
		file=$m.h
		[ -e "$file" ] || file=$m.c
		text=$(first "$file")
		if [ -z "$text" ]; then
			echo "$file: has no first comment" >&2
			return 1
		fi
		printf -- '- [%s](../%s): %s\n' "${m##*/}" "$file" "$text"
	done
}

print_map >"${TMPDIR:-/tmp}/popgate-map.$$"
trap 'rm -f "${TMPDIR:-/tmp}/popgate-map.$$"' EXIT
if [ "${1:-}" = --write ]; then
	cat "${TMPDIR:-/tmp}/popgate-map.$$" >"$map"
elif ! diff -u "$map" "${TMPDIR:-/tmp}/popgate-map.$$"; then
	echo "$map is not as the files are: make map" >&2
	exit 1
fi
