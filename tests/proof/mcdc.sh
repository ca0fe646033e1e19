#!/bin/sh
# SPDX-License-Identifier: ISC
# mcdc.sh - run mcdc.py here, or where gcc is older than 14 in a bare Debian 13.
#
#   tests/proof/mcdc.sh [DIRECTORY]	of that Debian: see tests/release.sh
set -eu
cd "$(dirname "$0")/../.."
if [ "$(gcc -dumpversion | cut -d . -f 1)" -ge 14 ]; then
	exec python3 tests/proof/mcdc.py
fi
POPGATE_COMMANDS="sh tests/deps.sh unit && make -s -j$(nproc) all && \
    python3 tests/proof/mcdc.py" \
    exec sh tests/release.sh trixie ${1:+"$1"}
