/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar courier: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "imapd",
	       .success = true,
	       .msg = "LOGIN, user=" FIRST ", ip=[::ffff:" GENUINE
		      "], port=[40101], protocol=IMAP" },
    { .program = "pop3d",
	.success = true,
	.msg = "LOGIN, user=" FIRST ", ip=[" GENUINE
	       "], port=[40101], stls=1" },
    { .program = "imapd",
	.success = false,
	.msg = "LOGIN FAILED, user=" FIRST ", ip=[::ffff:" GENUINE
	       "], port=[40101]" },
    { .program = "imapd",
	.success = false,
	.msg = "LOGIN: DEBUG: ip=[" GENUINE "], command=" FIRST },
    { .program = "pop3d",
	.success = false,
	.msg = "LOGOUT, user=" FIRST ", ip=[" GENUINE
	       "], port=[1], top=0, retr=0" });
