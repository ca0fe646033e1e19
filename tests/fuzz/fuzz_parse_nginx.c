/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar nginx: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES(
    { .program = "nginx",
	.success = true,
	.msg = "2026/03/03 09:20:00 [info] 1402#0: *31 client logged "
	       "in, client: " GENUINE ", server: 0.0.0.0:993, login: \"" FIRST
	       "\", upstream: 198.51.100.5:143" },
    { .program = "nginx",
	.success = false,
	.msg = "2026/03/03 09:20:00 [info] 1402#0: *31 client login "
	       "failed: \"x\" while in http auth state, client: " GENUINE
	       ", server: 0.0.0.0:993, login: \"" FIRST "\"" },
    { .program = "nginx",
	.success = false,
	.msg = "2026/03/03 09:20:00 [info] 1402#0: *31 client logged "
	       "in, client: " GENUINE ", server: 0.0.0.0:587, login: \"" FIRST
	       "\", upstream: 198.51.100.5:25" },
    { .program = "nginx",
	.success = false,
	.msg = "2026/03/03 09:20:00 [info] 1402#0: *31 client sent "
	       "invalid command: \"" FIRST "\", client: " GENUINE
	       ", server: 0.0.0.0:993" });
