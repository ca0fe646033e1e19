/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar teapop: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "teapop",
	       .success = true,
	       .msg = "Successful login for " FIRST
		      " [198.51.100.5] from pc.example.net [" GENUINE "]" },
    { .program = "teapop",
	.success = false,
	.msg = "Failed login for " FIRST " [198.51.100.5] from h [" GENUINE
	       "]" });
