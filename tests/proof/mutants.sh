#!/bin/sh
# SPDX-License-Identifier: ISC
# mutants.sh - run mutants.py where the files that killed tests leave behind
# are nobody's: in a /tmp and a /dev/shm of its own, if it may.
#
#   tests/proof/mutants.sh [--sample N] [--seed N] [--jobs N] [ROOM ...]
set -eu
cd "$(dirname "$0")/../.."
command='for d in /tmp /dev/shm; do mount -t tmpfs tmpfs $d; done
	exec python3 tests/proof/mutants.py "$@"'
if unshare -rm true 2>/dev/null; then
	exec unshare -rm sh -c "$command" mutants "$@"
fi
exec python3 tests/proof/mutants.py "$@"
