/* SPDX-License-Identifier: ISC */
/* Fuzz target of the grammar cucipop: see fuzz_parse.h. */
#include "tests/fuzz/fuzz_parse.h"

FUZZ_LINES({ .program = "cucipop",
	       .success = true,
	       .msg = FIRST " " GENUINE " 0, 3 (4821), 0 (0)" },
    { .program = "cucipop",
	.success = false,
	.msg = "authentication failure " FIRST " " GENUINE },
    { .program = "cucipop",
	.success = false,
	.msg = "lost " FIRST " " GENUINE });
