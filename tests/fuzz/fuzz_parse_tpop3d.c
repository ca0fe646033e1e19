/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar tpop3d: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "tpop3d",
	       .success = true,
	       .msg = "fork_child: [6]" GENUINE
		      "/example.org: began session for `" FIRST
		      "' with pam; child PID is 7" },
    { .program = "tpop3d",
	.success = false,
	.msg = "connection_do: client `[6]" GENUINE "': username `" FIRST
	       "': 1 authentication failures" });
