/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar vpop3d: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "vpop3d",
	       .success = true,
	       .msg = "vpop3d: (" FIRST "," GENUINE ") Authenticated" },
    { .program = "vpop3d",
	.success = false,
	.msg = "vpop3d: (" FIRST "," GENUINE ") Authentication failed" });
