/* SPDX-License-Identifier: ISC */
/* test_progress - the line of a long rehearsal: after a moment, for a terminal
 * alone, and gone at the end. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "ctl/rehearsal/progress.h"

static const struct {
	const char *name;
	int64_t ago_ms,
	    told_ago_ms; /* since it began, and was told; -1: never */
	bool terminal;
	const char *part, *want;
} rows[] = {
	{ "a short one says nothing", 0, -1, true, "smtp", "" },
	{ "nobody is there to read it", 5000, -1, false, "smtp", "" },
	{ "a long one", 5100, -1, true, "smtp",
	    "\r\033[Kasking a private copy of Postfix, smtp: 7 recipients, " },
	{ "without parts", 5100, -1, true, NULL,
	    "\r\033[Kasking a private copy of Postfix: 7 recipients, " },
	{ "the line is new enough", 3600000, 0, true, "smtp", "\r\033[K" },
};

static void
tells(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = NULL;
		size_t len;
		int64_t now_ms = clock_monotonic_ms();
		FILE *to = open_memstream(&got, &len);
		/* told an hour from now: no machine is so slow */
		struct progress p = {
			.to = rows[i].terminal ? to : NULL,
			.title = "Postfix",
			.begun_ms = rows[i].ago_ms == 0
			    ? now_ms + 3600000
			    : now_ms - rows[i].ago_ms,
			.told_ms = now_ms + 3600000,
			.shown = rows[i].told_ago_ms == 0,
		};

		ROW("%s", rows[i].name);
		assert_non_null(to);
		progress_tell(&p, rows[i].part, 7);
		progress_end(&p);
		progress_end(&p);
		assert_int_equal(fclose(to), 0);
		/* how many seconds it took isn't asserted; the end wipes */
		assert_memory_equal(got, rows[i].want, strlen(rows[i].want));
		if (strlen(rows[i].want) < 5)
			assert_string_equal(got, rows[i].want);
		else
			assert_string_equal(got + len - 4, "\r\033[K");
		free(got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(tells) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
