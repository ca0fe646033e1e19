/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar imapproxy: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "in.imapproxyd",
	       .success = true,
	       .msg = "LOGIN: '" FIRST "' (" GENUINE ":40300) on new sd [12]" },
    { .program = "in.imapproxyd",
	.success = true,
	.msg = "LOGIN: '\"" FIRST "\"' (" GENUINE
	       ":40300) on existing sd [9]" },
    { .program = "in.imapproxyd",
	.success = false,
	.msg = "LOGIN: '" FIRST "' (" GENUINE
	       ":40300) no previous connection: creating a new one" },
    { .program = "in.imapproxyd",
	.success = false,
	.msg = "LOGIN: '" FIRST "' (" GENUINE
	       ":50300) failed: non-OK server response to LOGIN "
	       "command: NO Login failed." },
    { .program = "in.imapproxyd",
	.success = false,
	.msg = "LOGOUT: '" FIRST "' from server sd [12]" });
