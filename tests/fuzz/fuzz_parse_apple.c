/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar apple: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES(
    { .program = "AppleMailServer",
	.success = true,
	.msg = "IMAP User \"" FIRST "\" log on successful from " GENUINE },
    { .program = "AppleMailServer",
	.success = false,
	.msg = "IMAP User \"" FIRST "\" log on failed from " GENUINE });
