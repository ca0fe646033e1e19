#!/bin/sh
# SPDX-License-Identifier: ISC
# banned.sh - refuse functions of libc that write without a bound, turn text
# into numbers without an error, or answer from one buffer for all threads.
# `make check` runs it.
set -eu
cd "$(dirname "$0")/.."
find common collector milter ctl -name '*.[ch]' | sort | xargs awk '
BEGIN {
	instead["strcpy"] = instead["stpcpy"] = instead["strncpy"] = "snprintf"
	instead["strcat"] = instead["strncat"] = "snprintf"
	instead["sprintf"] = "snprintf"
	instead["vsprintf"] = "vsnprintf"
	instead["gets"] = "getline"
	instead["atoi"] = instead["atol"] = instead["atoll"] = "strtoll"
	instead["atof"] = "strtod"
	instead["strtok"] = "strtok_r"
	instead["gmtime"] = "gmtime_r"
	instead["localtime"] = "localtime_r"
	instead["ctime"] = instead["asctime"] = "strftime"
	instead["tmpnam"] = instead["mktemp"] = "mkstemp"
	instead["system"] = instead["popen"] = "run (common/base/run.h)"
	instead["alloca"] = "malloc"
}
# what is code of a line; comment says whether it begins within one
function code(line,    out, at) {
	gsub(/\\./, "", line)			# \" ends no string
	gsub(/"[^"]*"/, "", line)
	while ((at = index(line, comment ? "*/" : "/*")) > 0) {
		if (!comment)
			out = out substr(line, 1, at - 1) " "
		line = substr(line, at + 2)
		comment = !comment
	}
	return comment ? out : out line
}
FNR == 1 { comment = 0 }
{
	line = code($0)
	gsub(/[^A-Za-z0-9_(]+/, " ", line)
	n = split(line, word, " ")
	for (i = 1; i <= n; i++) {
		name = word[i]
		while (match(name, /^[A-Za-z0-9_]*\(/)) {
			called = substr(name, 1, RLENGTH - 1)
			name = substr(name, RLENGTH + 1)
			if (called in instead) {
				printf "%s:%d: %s() is banned, use %s\n", \
				    FILENAME, FNR, called, instead[called]
				bad++
			}
		}
	}
}
END { exit bad > 0 }'
