/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar dbmail: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "dbmail-imapd",
	       .success = true,
	       .msg = "Notice:[imap] _ic_login_enter(+1455): [0x55d0c8a0] "
		      "login accepted: id [12] user [" FIRST "] from [" GENUINE
		      ":40600]" },
    { .program = "dbmail-imapd",
	.success = false,
	.msg = "Notice:[imap] _ic_login_enter(+1448): [0x55d0c8a0] "
	       "login rejected: user [" FIRST "] from [" GENUINE ":50600]" },
    { .program = "dbmail-imapd",
	.success = false,
	.msg = "Debug:[imap] parse(+1): [0x55d0c8a0] COMMAND: [" FIRST "]" });
