/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar popa3d: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "popa3d",
	       .success = true,
	       .before = "Session from " GENUINE,
	       .msg = "Authentication passed for " FIRST },
    { .program = "popa3d",
	.success = true,
	.msg = "Authentication passed for " FIRST " -- [" GENUINE "]" },
    { .program = "popa3d",
	.success = false,
	.before = "Session from " GENUINE,
	.msg = "Authentication failed for " FIRST },
    { .program = "popa3d",
	.success = false,
	.before = "Session from " GENUINE,
	.msg = "Authentication failed for " FIRST " -- [" GENUINE "]" });
