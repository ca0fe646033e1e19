/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/logs/lines.h"

/* Feed text in pieces of step bytes; collect what comes out. */
static void
feed(struct lines *l, const char *text, size_t len, size_t step, char *got,
    size_t size)
{
	struct line line;
	size_t at = strlen(got);

	for (size_t i = 0; i < len;) {
		size_t room, n = len - i < step ? len - i : step;
		char *p = lines_room(l, &room);

		if (n > room)
			n = room;
		memcpy(p, text + i, n);
		lines_added(l, n);
		i += n;
		memset(&line, 0xff, sizeof(line));
		while (lines_next(l, &line)) {
			assert_null(line.message);
			assert_null(line.told);
			at += (size_t)snprintf(got + at, size - at,
			    "%jd%s:%.*s|", (intmax_t)line.position,
			    line.too_long ? "!" : "", (int)line.len, line.text);
			memset(&line, 0xff, sizeof(line));
		}
	}
}

static void
whole_lines(void **state)
{
	static const char text[] = "one\n\ntwo\nthree";

	(void)state;
	for (size_t step = 1; step <= sizeof(text); step++) {
		struct lines l;
		char got[200] = "";

		assert_true(lines_init(&l, 100));
		feed(&l, text, sizeof(text) - 1, step, got, sizeof(got));
		assert_string_equal(got, "100:one|104:|105:two|");
		assert_int_equal(l.mark, 109);
		assert_int_equal(lines_read_offset(&l), 114);
		feed(&l, "!\n", 2, step, got, sizeof(got));
		assert_string_equal(got, "100:one|104:|105:two|109:three!|");
		lines_release(&l);
	}
}

/* Exactly 8 KiB is a line, one byte more is not; and the one behind it is. */
static void
long_lines(void **state)
{
	static char text[3 * LINES_BUFFER];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t n = LINES_MAX - 1; n <= sizeof(text) - 10; n = n * 2 + 1) {
		for (size_t step = 1000; step < 300000; step *= 7) {
			static char got[2 * LINES_MAX];
			struct lines l;
			char want[40];

			got[0] = '\0';
			assert_true(lines_init(&l, 0));
			memcpy(text + n, "\nnext\n", 6);
			feed(&l, text, n + 6, step, got, sizeof(got));
			memset(text + n, 'x', 6);
			(void)snprintf(want, sizeof(want), "|%zu:next|", n + 1);
			assert_non_null(strstr(got, want));
			assert_int_equal(got[1] == '!', n > LINES_MAX);
			assert_int_equal(l.mark, n + 6);
			lines_release(&l);
		}
	}
}

/* 100 MB without a newline take no more memory than the buffer, and the mark
 * stays in front: killed now, we begin with this line again. */
static void
endless_line(void **state)
{
	static char block[65536];
	struct lines l;
	char got[100] = "";

	(void)state;
	memset(block, 'x', sizeof(block));
	assert_true(lines_init(&l, 0));
	feed(&l, "a\n", 2, 2, got, sizeof(got));
	for (int i = 0; i < 1600; i++)
		feed(&l, block, sizeof(block), sizeof(block), got, sizeof(got));
	assert_int_equal(l.mark, 2);
	assert_int_equal(lines_read_offset(&l), 2 + 1600 * 65536);
	feed(&l, "\nb\n", 3, 3, got, sizeof(got));
	assert_string_equal(got, "0:a|2!:|104857603:b|");
	lines_release(&l);
}

static void
binary_rubbish(void **state)
{
	struct lines l;
	struct line line;
	size_t room, n = 0;

	(void)state;
	assert_true(lines_init(&l, 0));
	memcpy(lines_room(&l, &room), "\0\0a\0\xff\r\n\0\n", 9);
	lines_added(&l, 9);
	while (lines_next(&l, &line))
		n += line.len;
	assert_int_equal(n, 7);
	lines_restart(&l, 7);
	assert_false(lines_next(&l, &line));
	assert_int_equal(lines_read_offset(&l), 7);
	lines_release(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(whole_lines),
		cmocka_unit_test(long_lines), cmocka_unit_test(endless_line),
		cmocka_unit_test(binary_rubbish) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
