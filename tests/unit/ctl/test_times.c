/* SPDX-License-Identifier: ISC */
/* Moments as people type them, and as they are printed. */
#include "tests/unit/unit.h"

#include <time.h>

#include "common/db/store.h"
#include "ctl/times.h"

/* Berlin, without asking for a zone file: summer from the last Sunday of March
 * at 2 until the last one of October at 3. */
static const char zone[] = "CET-1CEST,M3.5.0,M10.5.0/3";

/* 2026-03-03 12:00:00 +0100 */
enum { NOW = 1772535600, DAY = 86400 };

static int
set_zone(void **state)
{
	(void)state;
	(void)setenv("TZ", zone, 1);
	tzset();
	return 0;
}

static void
parse(void **state)
{
	static const struct {
		const char *text;
		int past;
		int64_t want; /* -1: none */
	} rows[] = {
		{ "now", 0, NOW },
		{ "now", 1, NOW },
		{ "@0", 0, 0 },
		{ "@1700000000", 0, 1700000000 },
		{ "1700000000", 0, 1700000000 },
		{ "100000000", 0, 100000000 },
		{ "@999999999999", 0, -1 },
		{ "30m", 0, NOW + 1800 },
		{ "30m", 1, NOW - 1800 },
		{ "2d", 1, NOW - 2 * DAY },
		{ "2026-03-03", 0, NOW - DAY / 2 },
		{ "2026-03-03 12:00", 0, NOW },
		{ "2026-03-03T12:00:07", 0, NOW + 7 },
		{ "2026-03-03 11:00:00Z", 0, NOW },
		{ "2026-03-03T11:00:00Z", 0, NOW },
		{ "2026-03-03 13:30:00+02:30", 0, NOW },
		{ "2026-03-03 13:30:00 +0230", 0, NOW },
		{ "2026-03-03 06:00:00-05:00", 0, NOW },
		{ "2026-07-01 12:00", 0, 1782900000 }, /* summer: +0200 */
		{ "2024-02-29", 0, 1709161200 },
		/* of the day: the last, or the next */
		{ "11:59", 1, NOW - 60 },
		{ "11:59", 0, NOW - 60 + DAY },
		{ "12:01:02", 0, NOW + 62 },
		{ "12:01:02", 1, NOW + 62 - DAY },
		{ "12:00", 1, NOW },
		{ "12:00", 0, NOW + DAY },
		/* none */
		{ "", 0, -1 },
		{ "yesterday", 0, -1 },
		{ "@", 0, -1 },
		{ "@-1", 0, -1 },
		{ "12345", 0, NOW + 12345 }, /* seconds */
		{ "-1h", 0, -1 },
		{ "2026-02-29", 0, -1 },
		{ "2026-02-31", 0, -1 },
		{ "2026-13-01", 0, -1 },
		{ "2026-00-01", 0, -1 },
		{ "2026-01-00", 0, -1 },
		{ "2026-1-1", 0, -1 },
		{ "2026-03-03 24:00", 0, -1 },
		{ "2026-03-03 12:60", 0, -1 },
		{ "2026-03-03 12:00:61", 0, -1 },
		{ "2026-03-03 12", 0, -1 },
		{ "2026-03-03 12:00x", 0, -1 },
		{ "2026-03-03 12:00+15:00", 0, -1 },
		{ "2026-03-03 12:00+01:60", 0, -1 },
		{ "2026-03-03 12:00+1", 0, -1 },
		{ "12:00x", 0, -1 },
		{ "25:00", 0, -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t got = -1;

		if (!time_parse(rows[i].text, NOW, rows[i].past, &got))
			got = -1;
		if (got != rows[i].want)
			fail_msg("\"%s\", past %d: got %lld, want %lld",
			    rows[i].text, rows[i].past, (long long)got,
			    (long long)rows[i].want);
	}
}

/* The night that has 23 hours, and the one that has 25. */
static void
clock_of_a_changing_day(void **state)
{
	int64_t at;

	(void)state;
	/* 2026-03-29 12:00 +0200: yesterday's 12:30 was +0100 */
	assert_true(time_parse("12:30", 1774778400, 1, &at));
	assert_int_equal(at, 1774778400 - 22 * 3600 - 1800);
	/* 2026-10-24 12:00 +0200: tomorrow's 11:30 is +0100 */
	assert_true(time_parse("11:30", 1792836000, 0, &at));
	assert_int_equal(at, 1792836000 + 24 * 3600 + 1800);
}

static void
print(void **state)
{
	char buf[TIME_TEXT_MAX];

	(void)state;
	assert_string_equal(time_local(NOW, buf), "2026-03-03 12:00:00 +0100");
	assert_string_equal(time_local(0, buf), "never");
	assert_string_equal(time_local(STORE_FOREVER, buf), "for ever");
	assert_string_equal(time_iso(NOW, buf), "2026-03-03T12:00:00+01:00");
	assert_string_equal(
	    time_iso(1782900000, buf), "2026-07-01T12:00:00+02:00");
	assert_string_equal(time_both(NOW - 240, NOW, buf),
	    "2026-03-03 11:56:00 +0100 (4 min ago)");
	assert_string_equal(time_both(0, NOW, buf), "never");
	assert_string_equal(time_past(0, NOW, buf), "never");
	assert_string_equal(time_past(NOW - 240, NOW, buf),
	    "2026-03-03 11:56:00 +0100 (4 min ago)");
	assert_string_equal(
	    time_past(NOW + 20, NOW, buf), "2026-03-03 12:00:20 +0100 (now)");
	assert_string_equal(time_past(NOW + 240, NOW, buf),
	    "2026-03-03 12:04:00 +0100 (later than now: clock set back?)");
	/* a year that libc doesn't have */
	assert_string_equal(
	    time_local(-(INT64_C(1) << 62), buf), "@-4611686018427387904");
}

static void
relative(void **state)
{
	static const struct {
		int64_t s; /* from now */
		const char *want;
	} rows[] = {
		{ 0, "now" },
		{ 1, "in 1 s" },
		{ -1, "1 s ago" },
		{ -119, "119 s ago" },
		{ -120, "2 min ago" },
		{ 7199, "in 119 min" },
		{ 7200, "in 2 h" },
		{ -2 * DAY + 1, "47 h ago" },
		{ -2 * DAY, "2 d ago" },
	};
	char buf[TIME_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(
		    time_relative(NOW + rows[i].s, NOW, buf), rows[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse),
		cmocka_unit_test(clock_of_a_changing_day),
		cmocka_unit_test(print),
		cmocka_unit_test(relative),
	};

	return cmocka_run_group_tests(tests, set_zone, NULL);
}
