/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/logs/trail.h"
#include "common/records/line.h"

/* Lines of ten bytes, newline included, numbered from first to last. */
static void
push(struct trail *t, int first, int last)
{
	for (int i = first; i <= last; i++) {
		char text[16];
		int n = snprintf(text, sizeof(text), "line %04d", i);
		const struct line line = { .text = text,
			.len = (size_t)n,
			.position = (int64_t)10 * i };

		trail_push(t, &line, (int64_t)10 * (i + 1));
	}
}

static struct trail
trail_of(int first, int last)
{
	struct trail t = { 0 };

	push(&t, first, last);
	return t;
}

static void
bounded_and_thinned_out(void **state)
{
	struct trail t = trail_of(0, 9999);

	(void)state;
	assert_int_equal(t.recent_n, TRAIL_RECENT);
	assert_int_equal(t.recent[0].end, 100000);
	assert_int_equal(t.first_n, TRAIL_FIRST);
	assert_int_equal(t.first[0].end, 10);
	assert_true(t.step_n > 4 && t.step_n <= TRAIL_STEPS);
	for (size_t i = 1; i < t.step_n; i++)
		assert_true(t.step[i].end < t.step[i - 1].end);
	/* the farthest is from the first half */
	assert_true(t.step[t.step_n - 1].end < 50000);
}

static void
first_lines_only_from_the_beginning(void **state)
{
	struct trail t = trail_of(5, 20);

	(void)state;
	assert_int_equal(t.first_n, 0);
}

static void
found_again(void **state)
{
	const struct {
		const char *name;
		struct trail old, now;
		int want;
	} rows[] = {
		{ "at its end", trail_of(0, 9), trail_of(0, 9), 0 },
		{ "one line before it", trail_of(0, 9), trail_of(0, 8), 1 },
		{ "without its first lines", trail_of(0, 9), trail_of(7, 9),
		    0 },
		{ "another log", trail_of(0, 9), trail_of(20, 29), -1 },
		{ "nothing known", { .lines = 0 }, trail_of(0, 9), -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int got = trail_find(&rows[i].old, &rows[i].now);

		if (got != rows[i].want)
			fail_msg("%s: %d", rows[i].name, got);
	}
}

static void
same_and_has(void **state)
{
	struct trail a = trail_of(0, 9), b = trail_of(8, 9), c = trail_of(0, 8),
		     d = trail_of(30, 31);

	(void)state;
	assert_true(trail_same(&a, &b)); /* as far as both know */
	assert_false(trail_same(&a, &c));
	assert_true(trail_has(&a, &c));
	assert_false(trail_has(&a, &d));
	/* the text of a line that is too long isn't known: equal to any */
	const struct line long_line = {
		.text = "", .too_long = true, .position = 90
	};
	struct trail e = trail_of(0, 8);

	trail_push(&e, &long_line, 100);
	assert_true(trail_same(&a, &e));
	assert_false(trail_has(&a, &e));
}

static void
begins(void **state)
{
	struct trail a = trail_of(0, 99), b = trail_of(0, 5),
		     c = trail_of(0, 1), d = trail_of(10, 20);

	(void)state;
	assert_int_equal(trail_begins(&a, &b), 60);
	assert_int_equal(trail_begins(&a, &c), 20); /* that is all of it */
	assert_int_equal(trail_begins(&a, &d), 0);
	push(&c, 50, 60); /* two lines alone, then others */
	assert_int_equal(trail_begins(&a, &c), 0);
}

static void
cut(void **state)
{
	struct trail t = trail_of(0, 99), recent = trail_of(2, 4);

	(void)state;
	trail_cut(&t, &recent, 50);
	assert_int_equal(t.recent_n, 3);
	assert_int_equal(t.recent[0].end, 50);
	assert_int_equal(t.first_n, 5);
	for (size_t i = 0; i < t.step_n; i++)
		assert_true(t.step[i].end <= 50);
}

static void
loaded_from_a_file(void **state)
{
	char text[200] = "";
	struct trail want = trail_of(0, 9), got;

	(void)state;
	for (int i = 0; i < 10; i++)
		(void)snprintf(text + 10 * i, sizeof(text) - 10 * (size_t)i,
		    "line %04d\n", i);
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_int_equal(fputs(text, file) == EOF, 0);
	assert_int_equal(fflush(file), 0);
	assert_true(trail_load(&got, fileno(file), 100));
	assert_int_equal(got.recent_n, TRAIL_RECENT);
	assert_memory_equal(got.recent, want.recent, sizeof(got.recent));
	/* inside a line, and behind the end */
	assert_true(trail_load(&got, fileno(file), 95));
	assert_int_equal(got.recent_n, 0);
	assert_true(trail_load(&got, fileno(file), 110));
	assert_int_equal(got.recent_n, 0);
	assert_true(trail_load(&got, fileno(file), 0));
	assert_int_equal(got.recent_n, 0);
	(void)fclose(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounded_and_thinned_out),
		cmocka_unit_test(first_lines_only_from_the_beginning),
		cmocka_unit_test(found_again),
		cmocka_unit_test(same_and_has),
		cmocka_unit_test(begins),
		cmocka_unit_test(cut),
		cmocka_unit_test(loaded_from_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
