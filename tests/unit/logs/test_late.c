/* SPDX-License-Identifier: ISC */
/* Lines of a file that was rotated, while others may be copying it: each is
 * told once, in one of the files. */
#include "tests/unit/unit.h"

#include <stdbool.h>

#include "common/logs/follow_state.h"
#include "common/logs/late.h"
#include "common/records/line.h"

static char dir[64], told[400];
static struct follow f;

static bool
tell(void *arg, const struct line *line)
{
	size_t n = strlen(told);

	(void)arg;
	(void)snprintf(
	    told + n, sizeof(told) - n, "%.*s ", (int)line->len, line->text);
	return true;
}

static void
write_file(const char *name, const char *text)
{
	char path[100];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	(void)fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void
open_file(struct logfile *file, const char *name, int64_t position)
{
	char path[100];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(logfile_open(file, path, position, NULL), 1);
}

/* Read file to its end, or until its lines wait. */
static struct late
read_file(struct logfile *file, int i, line_fn *fn)
{
	struct late late = { .f = &f, .i = i, .fn = tell };
	struct line line;
	bool more = true;

	told[0] = '\0';
	while (more && logfile_fill(file, NULL) == LOGFILE_DATA)
		while (more && lines_next(&file->lines, &line))
			more = fn(&late, &line);
	return late;
}

static int
set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_dir());
	f = (struct follow){ .cur.fd = -1 };
	for (int i = 0; i < PREVS; i++)
		f.prev[i].file.fd = -1;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	if (f.cur.fd != -1)
		logfile_close(&f.cur);
	for (int i = 0; i < PREVS; i++)
		if (f.prev[i].file.fd != -1)
			logfile_close(&f.prev[i].file);
	return unit_remove(dir);
}

/* A line that only the old file has counts there; one that the new file has at
 * the same place counts in that: at once when it was read there, else it
 * waits. */
static void
late_lines(void **state)
{
	static const struct {
		const char *name, *prev, *cur;
		int64_t cur_read; /* bytes of cur that were read */
		bool rotated_twice; /* cur's text is in prev[0] */
		const char *want;
		bool waits;
	} rows[] = {
		{ "no other file has it", "a1\na2\n", "b1\n", 3, false,
		    "a1 a2 ", false },
		{ "read in the newer one", "a1\na2\n", "a1\na2\n", 6, false, "",
		    false },
		{ "not read there yet", "a1\na2\n", "a1\na2\n", 0, false, "",
		    true },
		{ "the first was read there", "a1\na2\n", "a1\na2\n", 3, false,
		    "", true },
		{ "the copy went on otherwise", "a1\na2\n", "a1\nb2\n", 6,
		    false, "a2 ", false },
		{ "at another place", "a1\na2\n", "x\na1\na2\n", 8, false,
		    "a1 a2 ", false },
		{ "a longer line there", "a1\n", "a1x\n", 4, false, "a1 ",
		    false },
		{ "in the file between", "a1\na2\n", "a1\na2\n", 6, true, "",
		    false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int old = rows[i].rotated_twice ? 1 : 0;
		struct logfile *newer =
		    rows[i].rotated_twice ? &f.prev[0].file : &f.cur;

		write_file("old", rows[i].prev);
		write_file("new", rows[i].cur);
		open_file(&f.prev[old].file, "old", 0);
		open_file(newer, "new", rows[i].cur_read);
		struct late late = read_file(&f.prev[old].file, old, late_line);

		if (strcmp(told, rows[i].want) != 0 ||
		    late.waits != rows[i].waits)
			fail_msg("%s: got '%s' waits %d", rows[i].name, told,
			    late.waits);
		logfile_close(&f.prev[old].file);
		logfile_close(newer);
	}
}

/* cur is a copy in the making: what was read of the original is passed over. */
static void
shadow_lines(void **state)
{
	(void)state;
	write_file("old", "a1\na2\na3\n");
	write_file("new", "a1\na2\nb3\n");
	open_file(&f.prev[0].file, "old", 9);
	open_file(&f.cur, "new", 0);
	f.shadow = true;
	struct late late = read_file(&f.cur, 0, late_shadow_line);

	assert_string_equal(told, "b3 ");
	assert_false(late.waits);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(late_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    shadow_lines, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
