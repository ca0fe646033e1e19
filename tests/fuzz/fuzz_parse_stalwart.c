/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar stalwart: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES(
    { .program = "stalwart",
	.success = true,
	.msg = "INFO Authentication successful (auth.success) "
	       "listenerId = \"imaptls\", localPort = 993, remoteIp = " GENUINE
	       ", remotePort = 40700, accountName = \"" FIRST
	       "\", accountId = 12" },
    { .program = "stalwart",
	.success = false,
	.msg = "INFO Authentication successful (auth.success) "
	       "listenerId = \"submissions\", localPort = 465, remoteIp "
	       "= " GENUINE ", remotePort = 40700, accountName = \"" FIRST
	       "\", accountId = 12" },
    { .program = "stalwart",
	.success = false,
	.msg = "WARN Authentication failed (auth.failed) listenerId = "
	       "\"imaptls\", localPort = 993, remoteIp = " GENUINE
	       ", remotePort = 50700, accountName = \"" FIRST "\"" });
