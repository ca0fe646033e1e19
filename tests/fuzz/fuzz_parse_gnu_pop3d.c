/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar gnu-pop3d: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "gnu-pop3d",
	       .success = true,
	       .msg = "User " FIRST " logged in with mailbox /var/mail/" FIRST
		      " from " GENUINE },
    { .program = "gnu-pop3d",
	.success = false,
	.msg = "Session ended for user: " FIRST });
