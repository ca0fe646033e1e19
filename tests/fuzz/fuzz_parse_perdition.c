/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar perdition: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "perdition",
	       .success = true,
	       .msg = "Auth: " GENUINE
		      ":40200->198.51.100.5:143 client-secure=plaintext "
		      "authorisation_id=NONE authentication_id=\"" FIRST
		      "\" server=\"imap1.example.org:143\" protocol=IMAP4 "
		      "server-secure=plaintext status=\"ok\"" },
    { .program = "perdition",
	.success = true,
	.msg = "Auth: " GENUINE "->198.51.100.5 user=\"" FIRST
	       "\" server=\"pop1.example.org\" port=\"110\" "
	       "status=\"ok\"" },
    { .program = "perdition",
	.success = false,
	.msg = "Auth: " GENUINE
	       ":40200->198.51.100.5:143 client-secure=plaintext "
	       "authorisation_id=NONE authentication_id=\"" FIRST
	       "\" server=\"imap1.example.org:143\" protocol=IMAP4 "
	       "server-secure=plaintext status=\"failed: "
	       "Re-Authentication Failure\"" },
    { .program = "perdition",
	.success = false,
	.msg = "Auth: " GENUINE
	       ":40200->198.51.100.5:143 client-secure=plaintext "
	       "authorisation_id=\"" FIRST "\" authentication_id=\"" SECOND
	       "\" server=\"imap1.example.org:143\" protocol=IMAP4 "
	       "server-secure=plaintext status=\"failed: "
	       "Re-Authentication Failure\"" },
    { .program = "perdition",
	.success = false,
	.msg = "Auth: " GENUINE
	       ":40200->198.51.100.5:143 client-secure=plaintext "
	       "authorisation_id=NONE authentication_id=\"" FIRST
	       "\" passwd=\"" SECOND
	       "\" server=\"imap1.example.org:143\" protocol=IMAP4 "
	       "server-secure=plaintext status=\"failed: "
	       "Re-Authentication Failure\"" },
    { .program = "perdition",
	.success = false,
	.msg = "Closing session: " GENUINE
	       ":40200->198.51.100.5:143 authorisation_id=NONE "
	       "authentication_id=\"" FIRST "\" received=1120 sent=88" });
