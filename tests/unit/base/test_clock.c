/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "ctl/times.h"

/* Two readings of one clock in different units agree, and none goes back. */
static void
units(void **state)
{
	(void)state;
	int64_t s = clock_now(), ms = clock_now_ms();

	assert_true(s <= ms / 1000);
	assert_true(clock_now() >= ms / 1000 - 1);
	int64_t mono_ms = clock_monotonic_ms();
	int64_t mono_ns = clock_monotonic_ns();

	assert_true(mono_ms <= mono_ns / 1000000);
	assert_true(clock_coarse_ms() <= clock_monotonic_ms());
}

static void
deadline(void **state)
{
	static const int rows[] = { 0, 1, 999, 1000, 1001, 123456 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct timespec until;
		int64_t before = clock_monotonic_ns();

		clock_deadline(rows[i], &until);
		int64_t after = clock_monotonic_ns();
		int64_t got =
		    until.tv_sec * INT64_C(1000000000) + until.tv_nsec;
		int64_t wait_ns = rows[i] * INT64_C(1000000);

		assert_in_range(until.tv_nsec, 0, 999999999);
		if (got < before + wait_ns || got > after + wait_ns)
			fail_msg("%d ms", rows[i]);
	}
}

/* A moment in a log line is a date, and popgatectl takes it. */
static void
text(void **state)
{
	static const struct {
		const char *zone;
		int64_t at;
		const char *want;
	} rows[] = {
		{ "UTC0", 1796042096, "2026-11-30 12:34:56 +0000" },
		{ "CET-1", 1796042096, "2026-11-30 13:34:56 +0100" },
		{ "NST3:30", 1796042096, "2026-11-30 09:04:56 -0330" },
		{ "UTC0", 0, "1970-01-01 00:00:00 +0000" },
		{ "UTC0", INT64_MAX, "@9223372036854775807" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char buf[CLOCK_TEXT_MAX];
		int64_t back = 0;

		ROW("%s %s", rows[i].zone, rows[i].want);
		assert_int_equal(setenv("TZ", rows[i].zone, 1), 0);
		tzset();
		assert_string_equal(clock_text(rows[i].at, buf), rows[i].want);
		if (rows[i].want[0] != '@')
			assert_true(time_parse(buf, 0, 1, &back));
		assert_int_equal(back, rows[i].want[0] == '@' ? 0 : rows[i].at);
	}
}

static void
mail_date(void **state)
{
	static const struct {
		const char *zone;
		int64_t at;
		const char *want;
	} rows[] = {
		{ "UTC0", 1796042096, "Mon, 30 Nov 2026 12:34:56 +0000" },
		{ "NST3:30", 1793515000, "Sun, 1 Nov 2026 03:06:40 -0330" },
		{ "UTC0", INT64_MAX, "Thu, 1 Jan 1970 00:00:00 +0000" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char buf[CLOCK_TEXT_MAX];

		ROW("%s %s", rows[i].zone, rows[i].want);
		assert_int_equal(setenv("TZ", rows[i].zone, 1), 0);
		tzset();
		assert_string_equal(
		    clock_mail_date(rows[i].at, buf), rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units),
		cmocka_unit_test(deadline),
		cmocka_unit_test(text),
		cmocka_unit_test(mail_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
