/* SPDX-License-Identifier: ISC */
/* check - cmocka's assertions, saying more: the row of the table that is
 * tried, the expression, what it gave and what it should have given.
 *
 *	for (size_t i = 0; i < LENGTH(rows); i++) {
 *		ROW("%s, from %s", rows[i].name, rows[i].client);
 *		assert_int_equal(ask(rows[i].client), rows[i].want);
 *	}
 *
 * fails as
 *
 *	row: mail from a stranger, from 192.0.2.7
 *	ask(rows[i].client): got 2, want 9
 *	tests/unit/milter/test_x.c:95: error: Failure!
 *
 * Helpers that the loop calls need not know of the row. */
#ifndef POPGATE_CHECK_H
#define POPGATE_CHECK_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct check_row {
	struct check_row *outer;
	char text[1000];
};

/* The rows that are tried, the innermost first. */
static _Thread_local struct check_row *check_rows;

static inline void
check_row_end(struct check_row *row)
{
	check_rows = row->outer;
}

static inline void __attribute__((format(printf, 2, 3)))
check_row_begin(struct check_row *row, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(row->text, sizeof(row->text), fmt, ap);
	va_end(ap);
	row->outer = check_rows;
	check_rows = row;
}

/* Name the row, and its facts where the name does not say them, as printf(3)
 * does. It is tried until the block ends; a loop in a row may have rows. */
#define ROW(...) CHECK_ROW(__LINE__, __VA_ARGS__)
#define CHECK_ROW(line, ...) CHECK_ROW_NAMED(line, __VA_ARGS__)
#define CHECK_ROW_NAMED(line, ...)                                           \
	struct check_row row_##line __attribute__((cleanup(check_row_end))); \
	check_row_begin(&row_##line, __VA_ARGS__)

/* Ends the test. */
static inline void __attribute__((format(printf, 3, 4)))
check_failed(const char *file, int line, const char *fmt, ...)
{
	char text[4000];
	va_list ap;

	for (struct check_row *r = check_rows; r != NULL; r = r->outer)
		print_error("row: %s\n", r->text);
	/* cmocka jumps out of the blocks of the rows */
	check_rows = NULL;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	print_error("%s\n", text);
	_fail(file, line);
}

static inline void
check_int(intmax_t got, intmax_t want, bool equal, const char *what,
    const char *file, int line)
{
	if ((got == want) != equal)
		check_failed(file, line, "%s: got %jd, want %s%jd", what, got,
		    equal ? "" : "other than ", want);
}

static inline void
check_true(bool got, bool want, const char *what, const char *file, int line)
{
	if (got != want)
		check_failed(
		    file, line, "%s: got %s", what, got ? "true" : "false");
}

static inline void
check_null(bool null, bool want, const char *what, const char *file, int line)
{
	if (null != want)
		check_failed(file, line, "%s: got %s", what,
		    null ? "NULL" : "a pointer, want NULL");
}

static inline void
check_string(const char *got, const char *want, bool equal, const char *what,
    const char *file, int line)
{
	if (got == NULL || want == NULL || (strcmp(got, want) == 0) != equal)
		check_failed(file, line, "%s:\n got '%s'\nwant %s'%s'", what,
		    got == NULL ? "(NULL)" : got, equal ? "" : "other than ",
		    want == NULL ? "(NULL)" : want);
}

static inline void
check_contains(const char *got, const char *part, const char *what,
    const char *file, int line)
{
	if (strstr(got, part) == NULL)
		check_failed(file, line, "%s:\n got '%s'\nwant '...%s...'",
		    what, got, part);
}

static inline void
check_memory(const void *got, const void *want, size_t size, bool equal,
    const char *what, const char *file, int line)
{
	const unsigned char *g = got, *w = want;
	size_t i = 0;

	while (i < size && g[i] == w[i])
		i++;
	if ((i == size) == equal)
		return;
	if (!equal)
		check_failed(
		    file, line, "%s: all %zu bytes are equal", what, size);
	else
		check_failed(file, line,
		    "%s: byte %zu of %zu: got 0x%02x, want 0x%02x", what, i,
		    size, g[i], w[i]);
}

static inline void
check_range(intmax_t got, intmax_t least, intmax_t most, const char *what,
    const char *file, int line)
{
	if (got < least || got > most)
		check_failed(file, line, "%s: got %jd, want %jd..%jd", what,
		    got, least, most);
}

#undef assert_true
#undef assert_false
#undef assert_null
#undef assert_non_null
#undef assert_ptr_equal
#undef assert_int_equal
#undef assert_int_not_equal
#undef assert_in_range
#undef assert_string_equal
#undef assert_string_not_equal
#undef assert_memory_equal
#undef assert_memory_not_equal
#undef fail_msg

#define assert_true(got) check_true((got), true, #got, __FILE__, __LINE__)
#define assert_false(got) check_true((got), false, #got, __FILE__, __LINE__)
#define assert_null(got) \
	check_null((got) == NULL, true, #got, __FILE__, __LINE__)
#define assert_non_null(got) \
	check_null((got) == NULL, false, #got, __FILE__, __LINE__)
#define assert_ptr_equal(got, want) \
	check_true((got) == (want), true, #got " == " #want, __FILE__, __LINE__)
#define assert_int_equal(got, want) \
	check_int(                  \
	    (intmax_t)(got), (intmax_t)(want), true, #got, __FILE__, __LINE__)
#define assert_int_not_equal(got, want)                                     \
	check_int((intmax_t)(got), (intmax_t)(want), false, #got, __FILE__, \
	    __LINE__)
#define assert_in_range(got, least, most)                                 \
	check_range((intmax_t)(got), (intmax_t)(least), (intmax_t)(most), \
	    #got, __FILE__, __LINE__)
#define assert_string_equal(got, want) \
	check_string((got), (want), true, #got, __FILE__, __LINE__)
#define assert_string_not_equal(got, want) \
	check_string((got), (want), false, #got, __FILE__, __LINE__)
/* got has want in it somewhere */
#define assert_contains(got, want) \
	check_contains((got), (want), #got, __FILE__, __LINE__)
#define assert_memory_equal(got, want, size) \
	check_memory((got), (want), (size), true, #got, __FILE__, __LINE__)
#define assert_memory_not_equal(got, want, size) \
	check_memory((got), (want), (size), false, #got, __FILE__, __LINE__)
#define fail_msg(...) check_failed(__FILE__, __LINE__, __VA_ARGS__)

/* For loops that wait: pause, longer the longer it takes, and say whether it is
 * worth another look; after two minutes it isn't. */
static inline bool
wait_more(int *looks)
{
	if (++*looks > 12000)
		return false;
	(void)usleep(*looks < 20 ? 1000 : 10000);
	return true;
}

/* Wait for what somebody else makes true. */
#define wait_until(condition)                                      \
	do {                                                       \
		int looks_ = 0;                                    \
		while (!(condition))                               \
			if (!wait_more(&looks_))                   \
				fail_msg("never: %s", #condition); \
	} while (0)

/* Run a test for each row of a table, of which the row is *state. What a row
 * begins with is its name, and its test's: const char *. */
static inline int
check_run_rows(const char *group, const void *rows, size_t size, size_t n,
    CMUnitTestFunction test)
{
	struct CMUnitTest *tests = calloc(n, sizeof(*tests));

	assert_non_null(tests);
	for (size_t i = 0; i < n; i++) {
		const char *row = (const char *)rows + i * size;

		memcpy(&tests[i].name, row, sizeof(tests[i].name));
		tests[i].test_func = test;
		tests[i].initial_state = (void *)(uintptr_t)row;
	}
	int failed = _cmocka_run_group_tests(group, tests, n, NULL, NULL);

	free(tests);
	return failed;
}

#define RUN_ROWS(group, rows, test) \
	check_run_rows(group, rows, sizeof((rows)[0]), LENGTH(rows), test)

#endif
