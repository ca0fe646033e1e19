/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar mailutils: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "pop3d",
    .success = false,
    .msg = "user `" FIRST "' logged in with mailbox `/var/mail/" FIRST
	   "' (4 messages)" });
