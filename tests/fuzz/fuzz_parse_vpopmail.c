/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar vpopmail: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "vpopmail",
	       .success = true,
	       .msg = "vchkpw-pop3: (PLAIN) login success " FIRST
		      "@example.org:" GENUINE },
    { .program = "vpopmail",
	.success = true,
	.msg = "vchkpw-pop3: (PLAIN) login success u@" FIRST ":" GENUINE },
    { .program = "vpopmail",
	.success = true,
	.msg = "vchkpw-imap: system password login success " FIRST
	       ":" GENUINE },
    { .program = "vpopmail",
	.success = true,
	.msg = "vchkpw: login [" FIRST "] from " GENUINE },
    { .program = "vpopmail",
	.success = false,
	.msg = "vchkpw-pop3: password fail (pass: '" FIRST "') " SECOND
	       "@example.org:" GENUINE },
    { .program = "vpopmail",
	.success = false,
	.msg = "vchkpw-pop3: vpopmail user not found " FIRST "@" SECOND
	       ":" GENUINE },
    { .program = "vpopmail",
	.success = false,
	.msg = "vchkpw-smtp: (PLAIN) login success " FIRST
	       "@example.org:" GENUINE });
