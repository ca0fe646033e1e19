/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar solid-pop3d: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "solid-pop3d",
	       .success = true,
	       .before = "connect from " GENUINE,
	       .msg = "user " FIRST " authenticated" },
    { .program = "solid-pop3d",
	.success = true,
	.msg = "user " FIRST " authenticated - pc.example.net (" GENUINE ")" },
    { .program = "solid-pop3d",
	.success = true,
	.msg = "mapped user " FIRST " authenticated through APOP - " GENUINE },
    { .program = "solid-pop3d",
	.success = false,
	.before = "connect from " GENUINE,
	.msg = "authentication failed: no such user: " FIRST " - " GENUINE });
