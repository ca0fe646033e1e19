/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar vm-pop3d: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "vm-pop3d",
	       .success = true,
	       .before = "Connect from " GENUINE,
	       .msg = "User '" FIRST "' of '" SECOND "' logged in" },
    { .program = "vm-pop3d",
	.success = true,
	.msg = "User '" FIRST "' of '" SECOND "' logged in from " GENUINE },
    { .program = "vm-pop3d",
	.success = false,
	.before = "Connect from " GENUINE,
	.msg = "Non-existent user: " FIRST " (" SECOND ")" });
