/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/config/duration.h"

enum { REFUSED = -1 };

static void
duration(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
		const char *want_text; /* NULL: as it was written */
	} rows[] = {
		{ "90s", 90, NULL },
		{ "30m", 1800, NULL },
		{ "2h", 7200, NULL },
		{ "14d", 1209600, NULL },
		{ "1w", 604800, "7d" },
		{ "45", 45, "45s" },
		{ "60", 60, "1m" },
		{ "5400", 5400, "90m" },
		{ "0", 0, "0d" },
		{ "007s", 7, "7s" },
		{ "36600d", INT64_C(36600) * 86400, NULL },
		{ "36601d", REFUSED, NULL },
		{ "9999999999w", REFUSED, NULL },
		{ "", REFUSED, NULL },
		{ "m", REFUSED, NULL },
		{ "1.5h", REFUSED, NULL },
		{ "-1s", REFUSED, NULL },
		{ "+1s", REFUSED, NULL },
		{ " 1s", REFUSED, NULL },
		{ "1hh", REFUSED, NULL },
		{ "1 h", REFUSED, NULL },
		{ "1H", REFUSED, NULL },
		{ "99999999999999", REFUSED, NULL },
	};
	char buf[DURATION_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int64_t got = REFUSED;
		const char *want_text = rows[i].want_text == NULL
		    ? rows[i].text
		    : rows[i].want_text;

		if (duration_parse(rows[i].text, &got) !=
			(rows[i].want != REFUSED) ||
		    got != rows[i].want)
			fail_msg("'%s': got %lld, want %lld", rows[i].text,
			    (long long)got, (long long)rows[i].want);
		if (got != REFUSED)
			assert_string_equal(
			    duration_format(got, buf), want_text);
	}
}

static void
rate(void **state)
{
	static const struct {
		const char *text;
		int64_t want_max, want_window_s;
		const char *want_text; /* NULL: as it was written */
	} rows[] = {
		{ "100/1h", 100, 3600, NULL },
		{ "1/90s", 1, 90, NULL },
		{ "5/60", 5, 60, "5/1m" },
		{ "10000000/1d", RATE_MAX, 86400, NULL },
		{ "off", 0, 7, NULL },
		{ "10000001/1d", REFUSED, 0, NULL },
		{ "0/1h", REFUSED, 0, NULL },
		{ "/1h", REFUSED, 0, NULL },
		{ "5", REFUSED, 0, NULL },
		{ "5/", REFUSED, 0, NULL },
		{ "5/x", REFUSED, 0, NULL },
		{ "5/1h/1h", REFUSED, 0, NULL },
		{ "-5/1h", REFUSED, 0, NULL },
		{ "12345678901/1h", REFUSED, 0, NULL },
		{ "OFF", REFUSED, 0, NULL },
		{ "", REFUSED, 0, NULL },
	};
	char buf[RATE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct limit_rate got = { REFUSED, 7 };

		if (rate_parse(rows[i].text, &got) !=
			(rows[i].want_max != REFUSED) ||
		    got.max != rows[i].want_max)
			fail_msg("'%s': got %lld, want %lld", rows[i].text,
			    (long long)got.max, (long long)rows[i].want_max);
		if (got.max == REFUSED) {
			assert_int_equal(got.window_s, 7);
			continue;
		}
		assert_int_equal(got.window_s, rows[i].want_window_s);
		assert_string_equal(rate_format(&got, buf),
		    rows[i].want_text == NULL ? rows[i].text
					      : rows[i].want_text);
	}
}

static void
size(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
		const char *want_text; /* NULL: as it was written */
	} rows[] = {
		{ "1K", 1024, NULL },
		{ "500M", INT64_C(500) << 20, NULL },
		{ "8G", INT64_C(8) << 30, NULL },
		{ "1024M", INT64_C(1) << 30, "1G" },
		{ "2048T", INT64_C(2048) << 40, NULL },
		{ "0K", 0, NULL },
		{ "999999T", INT64_C(999999) << 40, NULL },
		{ "1000000T", REFUSED, NULL },
		{ "8", REFUSED, NULL },
		{ "8g", REFUSED, NULL },
		{ "8GB", REFUSED, NULL },
		{ "G", REFUSED, NULL },
		{ "-1G", REFUSED, NULL },
		{ "1.5G", REFUSED, NULL },
		{ "", REFUSED, NULL },
	};
	char buf[SIZE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int64_t got = REFUSED;

		if (size_parse(rows[i].text, &got) !=
			(rows[i].want != REFUSED) ||
		    got != rows[i].want)
			fail_msg("'%s': got %lld, want %lld", rows[i].text,
			    (long long)got, (long long)rows[i].want);
		if (got != REFUSED)
			assert_string_equal(size_format(got, buf),
			    rows[i].want_text == NULL ? rows[i].text
						      : rows[i].want_text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(duration),
		cmocka_unit_test(rate),
		cmocka_unit_test(size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
