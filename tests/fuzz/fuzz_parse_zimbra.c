/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar zimbra: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES(
    { .program = "zimbra",
	.own_file = true,
	.success = true,
	.msg = "INFO  [ImapSSLServer-15] [name=" FIRST ";mid=44;ip=" GENUINE
	       ";ua=" SECOND ";] imap - user " FIRST
	       " authenticated, mechanism=PLAIN [TLS]" },
    { .program = "zimbra",
	.own_file = true,
	.success = false,
	.msg = "INFO  [ImapServer-16] [ip=" GENUINE ";ua=" SECOND
	       ";] imap - authentication failed for " FIRST
	       " (invalid password)" },
    { .program = "zimbra",
	.own_file = true,
	.success = false,
	.msg = "INFO  [ImapServer-16] [name=a;ip=" GENUINE ";ua=" FIRST
	       ";] imap - ID elapsed=0 " SECOND });
