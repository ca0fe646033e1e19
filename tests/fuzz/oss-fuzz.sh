#!/bin/sh
# SPDX-License-Identifier: ISC
# oss-fuzz.sh - build every fuzz target as OSS-Fuzz does: with its compiler (CC),
# flags (CFLAGS) and engine (LIB_FUZZING_ENGINE), into OUT, with the corpora.
#
#   OUT=/tmp/out CC=clang CFLAGS="-O1 -g -fsanitize=fuzzer-no-link,address" \
#       LIB_FUZZING_ENGINE=-fsanitize=fuzzer tests/fuzz/oss-fuzz.sh
set -eu
cd "$(dirname "$0")/../.."
: "${OUT:?where do the targets go?}" "${CC:=clang}" "${CFLAGS:=-O1 -g}"
: "${LIB_FUZZING_ENGINE:=-fsanitize=fuzzer}" "${WORK:=build-oss-fuzz}"

make -j"$(nproc)" BUILD="$WORK" CC="$CC" CFLAGS="$CFLAGS" \
    LDFLAGS="$LIB_FUZZING_ENGINE" fuzz-build
mkdir -p "$OUT"
for source in tests/fuzz/fuzz_*.c; do
	target=$(basename "$source" .c)
	cp "$WORK/fuzz/$target" "$OUT/"
	corpus=tests/fuzz/corpus/${target#fuzz_}
	[ ! -d "$corpus" ] || (cd "$corpus" && python3 -m zipfile -c \
	    "$OUT/${target}_seed_corpus.zip" ./*)
done
