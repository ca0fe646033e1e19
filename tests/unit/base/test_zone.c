/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <time.h>

#include "common/base/zone.h"

static void
texts(void **state)
{
	static const struct {
		const char *text;
		bool good;
		int east_s;
		const char *format;
	} rows[] = {
		{ "UTC", true, 0, "UTC" },
		{ "+00:00", true, 0, "UTC" },
		{ "-00:00", true, 0, "UTC" },
		{ "+01:00", true, 3600, "+01:00" },
		{ "+0530", true, 19800, "+05:30" },
		{ "-03:30", true, -12600, "-03:30" },
		{ "+14:00", true, 50400, "+14:00" },
		{ "-12:00", true, -43200, "-12:00" },
		{ "+14:01", false, 0, NULL },
		{ "-12:15", false, 0, NULL },
		{ "+01:60", false, 0, NULL },
		{ "", false, 0, NULL },
		{ "utc", false, 0, NULL },
		{ "UTC ", false, 0, NULL },
		{ "CET", false, 0, NULL },
		{ "Europe/Berlin", false, 0, NULL },
		{ "01:00", false, 0, NULL },
		{ "+1:00", false, 0, NULL },
		{ "+01", false, 0, NULL },
		{ "+01:", false, 0, NULL },
		{ "+01:0", false, 0, NULL },
		{ "+01:00x", false, 0, NULL },
		{ "+-1:00", false, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		struct zone got;
		char buf[ZONE_TEXT_MAX];

		assert_int_equal(zone_parse(rows[i].text, &got), rows[i].good);
		if (!rows[i].good)
			continue;
		assert_true(got.fixed);
		assert_int_equal(got.east_s, rows[i].east_s);
		assert_string_equal(zone_format(&got, buf), rows[i].format);
	}
}

static void
guesses(void **state)
{
	static const struct {
		const char *tz; /* of the machine; NULL: zone is UTC */
		int64_t behind_s; /* of the stamp */
		const char *want; /* NULL: no zone is off by so much */
	} rows[] = {
		{ NULL, 0, NULL },
		{ NULL, 60, NULL },
		{ NULL, 450, NULL },
		{ NULL, 899, "-00:15" },
		{ NULL, 3600, "-01:00" },
		{ NULL, 3690, "-01:00" },
		{ NULL, 3691, NULL },
		{ NULL, 3598, NULL },
		{ NULL, 12 * 3600, "-12:00" },
		{ NULL, 13 * 3600, NULL },
		{ NULL, -3600, "+01:00" },
		{ NULL, -3570, "+01:00" },
		{ NULL, -14 * 3600, "+14:00" },
		{ NULL, -15 * 3600, NULL },
		/* a machine an hour and more east, its log in UTC */
		{ "XYZ-1", 3600, "UTC" },
		{ "XYZ-5:30", 19800, "UTC" },
		/* and the other way round */
		{ "UTC0", -3600, "+01:00" },
		{ "XYZ8", -9 * 3600, "+01:00" },
	};
	const int64_t written_at = 1772526000;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%zu", i);
		const struct zone zone = { .fixed = rows[i].tz == NULL };
		struct zone got;
		char buf[ZONE_TEXT_MAX];

		assert_int_equal(
		    setenv("TZ", rows[i].tz == NULL ? "XYZ-3" : rows[i].tz, 1),
		    0);
		tzset();
		assert_int_equal(
		    zone_guess(
			&zone, written_at - rows[i].behind_s, written_at, &got),
		    rows[i].want != NULL);
		if (rows[i].want != NULL)
			assert_string_equal(
			    zone_format(&got, buf), rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(guesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
