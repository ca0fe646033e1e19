/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar uw: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "ipop3d",
	       .success = true,
	       .msg = "Login user=" FIRST " host=pc.example.net [" GENUINE
		      "] nmsgs=3/3" },
    { .program = "imapd",
	.success = true,
	.msg = "Authenticated user=" FIRST " host=[" GENUINE "] mech=PLAIN" },
    { .program = "imapd",
	.success = false,
	.msg = "Login failed user=" FIRST " auth=" SECOND " host=h [" GENUINE
	       "]" },
    { .program = "imapd",
	.success = false,
	.msg = "Login anonymous=" FIRST " host=[" GENUINE "]" },
    { .program = "imapd",
	.success = false,
	.msg = "IMAP login to host=" FIRST " user=" SECOND " host=[" GENUINE
	       "]" },
    { .program = "imapd",
	.success = false,
	.msg = "AUTHENTICATE " FIRST " invalid host=[" GENUINE "]" });
