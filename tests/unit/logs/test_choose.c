/* SPDX-License-Identifier: ISC */
/* Which of a log's files is read next, and from where? */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/logs/choose.h"
#include "common/logs/follow_state.h"
#include "common/logs/generations.h"
#include "common/records/line.h"

static char dir[64], log_path[80], noted[1000];
static struct follow f;

static void
on_note(void *arg, int priority, const char *text)
{
	(void)arg;
	(void)priority;
	(void)snprintf(noted, sizeof(noted), "%s", text);
}

static const char *
at(const char *suffix)
{
	static char path[100];

	(void)snprintf(path, sizeof(path), "%s%s", log_path, suffix);
	return path;
}

/* A file written so many seconds after the first. */
static void
write_file(const char *suffix, const char *text, int seconds)
{
	const struct timespec t[2] = { { .tv_sec = 1000000 + seconds },
		{ .tv_sec = 1000000 + seconds } };
	FILE *file = fopen(at(suffix), "w");

	assert_non_null(file);
	(void)fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(utimensat(AT_FDCWD, at(suffix), t, 0), 0);
}

/* Read the file to its end, as follow.c does, and go on. */
static void
read_it(struct logfile *file)
{
	struct line line;

	while (logfile_fill(file, NULL) == LOGFILE_DATA)
		while (lines_next(&file->lines, &line))
			trail_push(&file->trail, &line, file->lines.mark);
	contents_put(&f.known, file);
	f.at = content_of(file);
}

/* The file that is read next: its suffix and position, or "nothing"; it is
 * read. */
static const char *
next(void)
{
	static char text[100];
	struct generations g = { 0 };
	struct found found;
	struct err err = { .text = "" };
	int rc = choose_search(&f, &g, &found, &err);

	if (rc == -1)
		fail_msg("%s", err.text);
	(void)snprintf(text, sizeof(text), "nothing");
	if (rc == 1) {
		(void)snprintf(text, sizeof(text), "%s at %lld",
		    g.v[found.i].path + strlen(log_path),
		    (long long)found.reading.position);
		if (f.cur.fd != -1)
			logfile_close(&f.cur);
		f.cur = found.file;
		read_it(&f.cur);
		choose_cur_done(&f);
	}
	generations_release(&g);
	return text;
}

static int
set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_dir());
	(void)snprintf(log_path, sizeof(log_path), "%s/mail.log", dir);
	f = (struct follow){ .path = log_path, .cur.fd = -1, .note = on_note };
	for (int i = 0; i < PREVS; i++)
		f.prev[i].file.fd = -1;
	noted[0] = '\0';
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	if (f.cur.fd != -1)
		logfile_close(&f.cur);
	return unit_remove(dir);
}

/* The oldest with something unread comes first, the live one last. */
static void
oldest_first(void **state)
{
	(void)state;
	write_file(".2", "a1\na2\n", 1);
	write_file(".1", "b1\nb2\n", 2);
	write_file("", "c1\nc2\n", 3);
	assert_string_equal(next(), ".2 at 0");
	assert_string_equal(next(), ".1 at 0");
	assert_string_equal(next(), " at 0");
	/* by what it holds, whatever it is called: rotated on */
	assert_int_equal(unlink(at(".2")), 0);
	write_file("", "c1\nc2\nc3\n", 4);
	char old[100];

	(void)snprintf(old, sizeof(old), "%s", at(""));
	assert_int_equal(rename(old, at(".7")), 0);
	write_file("", "d1\n", 5);
	logfile_close(&f.cur);
	f.cur.fd = -1;
	assert_string_equal(next(), ".7 at 6");
	assert_string_equal(next(), " at 0");
}

/* A copy of what was read holds nothing; what stands behind it in the copy
 * does. */
static void
copies(void **state)
{
	(void)state;
	write_file("", "a1\na2\n", 1);
	assert_string_equal(next(), " at 0");
	write_file(".1", "a1\na2\n", 2);
	write_file(".2", "a1\na2\na3\n", 3);
	write_file("", "b1\n", 4);
	assert_string_equal(next(), ".2 at 6");
	assert_string_equal(next(), " at 0");
	/* a copy of the live log is left to that */
	write_file("", "b1\nb2\n", 5);
	write_file(".3", "b1\nb2\n", 5);
	logfile_close(&f.cur);
	f.cur.fd = -1;
	assert_string_equal(next(), " at 3");
}

/* A file that wasn't changed since the first start is none of ours. */
static void
too_old(void **state)
{
	(void)state;
	f.known.horizon_ns = INT64_C(1000002) * 1000000000;
	write_file(".2", "a1\n", 1);
	write_file(".1", "b1\n", 2);
	assert_string_equal(next(), ".1 at 0");
	/* the log was rotated away: its last file, until there is another */
	assert_string_equal(next(), "nothing");
	logfile_close(&f.cur);
	f.cur.fd = -1;
	assert_string_equal(next(), ".1 at 3");
}

/* A file that can't be read doesn't stand in the way. */
static void
unreadable(void **state)
{
	(void)state;
	write_file(".1.gz", "no gzip file\n", 1);
	write_file("", "b1\n", 2);
	assert_string_equal(next(), ".1.gz at 0");
	assert_string_equal(next(), " at 0");
	assert_int_equal(mkdir(at(".2"), 0700), 0);
	write_file("", "b1\nb2\n", 3);
	logfile_close(&f.cur);
	f.cur.fd = -1;
	assert_string_equal(next(), " at 3");
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(oldest_first),
		TEST(copies),
		TEST(too_old),
		TEST(unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
