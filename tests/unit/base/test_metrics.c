/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/base/growth.h"
#include "common/base/metrics.h"

static void
samples(void **state)
{
	const struct metrics_label labels[] = { { "a", "x\"y\\z\nw" },
		{ "b", "\xc3\xbc\xff" }, { 0 } };
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	metrics_family(out, "f_bytes", "gauge", "bytes", "What.");
	metrics_sample(out, "f_bytes", "", labels, UINT64_MAX);
	metrics_sample(out, "f", "_total", NULL, 0);
	metrics_milli(out, "m", NULL, -1);
	metrics_milli(out, "m", NULL, -1500);
	metrics_milli(out, "m", NULL, 20);
	metrics_end(out);
	(void)fclose(out);
	assert_string_equal(text,
	    "# TYPE popgate_f_bytes gauge\n"
	    "# UNIT popgate_f_bytes bytes\n"
	    "# HELP popgate_f_bytes What.\n"
	    "popgate_f_bytes{a=\"x\\\"y\\\\z\\nw\",b=\"\xc3\xbc\xef\xbf\xbd\"} "
	    "18446744073709551615\n"
	    "popgate_f_total 0\n"
	    "popgate_m -0.001\n"
	    "popgate_m -1.500\n"
	    "popgate_m 0.020\n"
	    "# EOF\n");
	free(text);
}

static void
buckets(void **state)
{
	static struct histogram h;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	histogram_count(&h, 5000); /* its upper end belongs to a bucket */
	histogram_count(&h, 5001);
	histogram_count(&h, INT64_C(6000000000));
	histogram_count(&h, -1); /* no clock does that; no harm if so */
	metrics_histogram(out, "h", NULL, &h);
	(void)fclose(out);
	assert_non_null(strstr(text, "popgate_h_bucket{le=\"5e-06\"} 2\n"));
	assert_non_null(strstr(text, "popgate_h_bucket{le=\"1e-05\"} 3\n"));
	assert_non_null(strstr(text, "popgate_h_bucket{le=\"5.0\"} 3\n"));
	assert_non_null(strstr(text, "popgate_h_bucket{le=\"+Inf\"} 4\n"));
	assert_non_null(strstr(text, "popgate_h_count 4\n"));
	assert_non_null(strstr(text, "popgate_h_sum 6.000010001\n"));
	free(text);
}

static void
per_minute(void **state)
{
	struct growth r = { .n = 0 };
	int64_t ms = 1000000;

	(void)state;
	assert_int_equal(growth_per_minute(&r, ms, 5), 0);
	/* ten a second, noted each second, for five minutes */
	for (int i = 0; i < 300; i++, ms += 1000)
		growth_note(&r, ms, (uint64_t)i * 10);
	uint64_t n = growth_per_minute(&r, ms, 3000);

	assert_in_range(n, 550, 600);
	/* nothing more for a minute: nothing in the last one */
	assert_int_equal(growth_per_minute(&r, ms + 61000, 3000), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples),
		cmocka_unit_test(buckets),
		cmocka_unit_test(per_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
