#!/bin/sh
# SPDX-License-Identifier: ISC
# arrows.sh - headers have guards of their own, and includes point down only:
# base < records < share < grammar, logs, mta < config < db < policy < maps <
# daemon < the programs, and never from one program into another
# (docs/ARCHITECTURE.md). Within popgatectl: ctl < smtp < stage < wiring <
# rehearsal < doctor < dnsbl, probe, incident, setup < the others. `make check`
# runs it.
set -eu
cd "$(dirname "$0")/.."
find common collector milter ctl -name '*.[ch]' | sort | xargs awk '
function room(path,    part) {
	split(path, part, "/")
	return part[1] == "common" ? part[2] : part[1]
}
# a room of popgatectl, by its own name
function ctl_room(path,    part, n) {
	n = split(path, part, "/")
	return part[1] == "ctl" && n > 2 ? part[n - 1] : part[1]
}
function complain(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what
	bad++
}
BEGIN {
	n = split("base records share grammar logs mta config db policy maps " \
	    "daemon collector milter ctl", name, " ")
	for (i = 1; i <= n; i++)
		height[name[i]] = i
	n = split("ctl smtp stage wiring rehearsal doctor dnsbl probe incident " \
	    "setup status why report watch commands", name, " ")
	for (i = 1; i <= n; i++)
		step[name[i]] = i
	side["grammar"] = side["logs"] = side["mta"] = 1
	program["collector"] = program["milter"] = program["ctl"] = 1
}
# two headers with one guard: a file that includes both gets the first only
/^#ifndef POPGATE_[A-Z0-9_]*_H$/ {
	if ($2 in guard)
		complain($2 " guards " guard[$2] ", too")
	guard[$2] = FILENAME
}
/^#include "/ {
	split($0, part, "\"")
	from = room(FILENAME)
	to = room(part[2])
	if (part[2] !~ /\//)
		complain(part[2] " does not name its room")
	else if (!(to in height) || !(from in height))
		complain((to in height ? from : to) " is not a room")
	else if (height[to] > height[from])
		complain(from " includes " part[2] ", which stands above it")
	else if (to != from && to in program)
		complain(from " includes " part[2] ", of another program")
	else if (to != from && from in side && to in side)
		complain(from " includes " part[2] ", which stands beside it")
	else if (to == "ctl" && !((from = ctl_room(FILENAME)) in step))
		complain("ctl/" from " is not a room")
	else if (to == "ctl" && step[ctl_room(part[2])] > step[from])
		complain("ctl/" from " includes " part[2] ", which stands above it")
}
END { exit bad > 0 }'
