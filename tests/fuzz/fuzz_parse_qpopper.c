/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar qpopper: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "popper",
	       .success = true,
	       .msg = "(v4.0.9) POP login by user \"" FIRST
		      "\" at (pc.example.net) " GENUINE " [pop_log.c:244]" },
    { .program = "popper",
	.success = true,
	.msg = "Stats: " FIRST " 0 0 5 21004 pc.example.net " GENUINE
	       " [pop_updt.c:228]" },
    { .program = "popper",
	.success = false,
	.msg = "[AUTH] Failed attempted login to " FIRST
	       " from host (h) " GENUINE " [pop_pass.c:1190]" },
    { .program = "popper",
	.success = false,
	.msg = FIRST " at h (" GENUINE
		     "): -ERR [AUTH] Password supplied for \"" FIRST
		     "\" is incorrect. [pop_pass.c:1188]" });
