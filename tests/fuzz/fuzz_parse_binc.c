/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar binc: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "bincimapd",
    .success = true,
    .before = "connection from " GENUINE,
    .msg = "<" FIRST "> authenticated" });
