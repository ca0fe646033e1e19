/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar cyrus: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "cyrus/imaps",
	       .success = true,
	       .msg = "login: pc.example.net [" GENUINE "] " FIRST
		      " plaintext+TLS User logged in SESSIONID=<x-1>" },
    { .program = "pop3d",
	.success = true,
	.msg = "login: [" GENUINE "] " FIRST " CRAM-MD5 User logged in" },
    { .program = "imap",
	.success = false,
	.msg = "login: [" GENUINE "] anonymous " FIRST },
    { .program = "imap",
	.success = false,
	.msg = "badlogin: h [" GENUINE "] plaintext " FIRST
	       " SASL(-13): authentication failure: checkpass failed" },
    { .program = "cyrus/pop3",
	.success = false,
	.msg = "badlogin: [" GENUINE "] plaintext (" FIRST
	       ") [SASL(-13): user not found: checkpass failed]" },
    { .program = "imap",
	.success = false,
	.msg = "SASL bad userid authenticated " FIRST });
