/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <utime.h>

#include "common/base/clock.h"
#include "common/base/file_watch.h"

static int64_t ms; /* the monotonic clock, as the watch is told */
static const char *which;

static void
put(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	(void)fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

static enum file_watch_state
look(struct file_watch *w, int64_t after_ms)
{
	ms += after_ms;
	return file_watch_look(w, ms, &which);
}

/* As long as nothing rests nothing is said. */
static enum file_watch_state
settled(struct file_watch *w)
{
	assert_int_equal(look(w, 1000), FILE_WATCH_SAME);
	assert_int_equal(look(w, 1000), FILE_WATCH_SAME);
	return look(w, 1000);
}

struct fixture {
	char path[100], table[110];
	struct string_list files;
	struct file_watch *w;
};

/* A file that was read a minute ago by the watch's idea of time. */
static void
make(struct fixture *f)
{
	ms = 1000000;
	(void)snprintf(f->path, sizeof(f->path), "%s", unit_file(0, "a\n"));
	(void)snprintf(f->table, sizeof(f->table), "%s.db", f->path);
	f->files = (struct string_list){ 0 };
	assert_true(string_list_add(&f->files, f->path, strlen(f->path)));
	const struct string_list *const lists[] = { &f->files };

	f->w = file_watch_new();
	assert_non_null(f->w);
	assert_int_equal(
	    file_watch_files(f->w, lists, 1, clock_now_ms() + 60000), 0);
}

static void
forget(struct fixture *f)
{
	file_watch_free(f->w);
	string_list_release(&f->files);
	(void)unlink(f->path);
	(void)unlink(f->table);
}

static void
changes(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	assert_int_equal(settled(f.w), FILE_WATCH_SAME);
	/* somebody who writes on and on is waited for */
	for (int i = 0; i < 20; i++) {
		char text[40];

		(void)snprintf(text, sizeof(text), "%0*d", i + 3, 1);
		put(f.path, text);
		assert_int_equal(look(f.w, 1500), FILE_WATCH_SAME);
	}
	assert_int_equal(look(f.w, 1500), FILE_WATCH_SAME);
	assert_int_equal(look(f.w, 1500), FILE_WATCH_CHANGED);
	assert_string_equal(which, f.path);
	/* said once, and again after a while for who could not read it */
	for (int i = 0; i < 50; i++)
		assert_int_equal(look(f.w, 1000), FILE_WATCH_SAME);
	assert_int_equal(look(f.w, FILE_WATCH_RETRY_MS), FILE_WATCH_CHANGED);
	forget(&f);
}

static void
replaced(void **state)
{
	struct fixture f;
	char other[120];

	(void)state;
	make(&f);
	(void)snprintf(other, sizeof(other), "%s.new", f.path);
	put(other, "b\n"); /* the same size */
	assert_int_equal(rename(other, f.path), 0);
	assert_int_equal(settled(f.w), FILE_WATCH_CHANGED);
	forget(&f);
	/* a table beside it comes, and changes */
	make(&f);
	put(f.table, "x");
	assert_int_equal(settled(f.w), FILE_WATCH_CHANGED);
	assert_string_equal(which, f.path);
	forget(&f);
}

static void
gone(void **state)
{
	struct fixture f;
	char away[120];

	(void)state;
	make(&f);
	(void)snprintf(away, sizeof(away), "%s.away", f.path);
	/* out of sight for a moment, as some editors do it */
	assert_int_equal(rename(f.path, away), 0);
	assert_int_equal(look(f.w, 1000), FILE_WATCH_SAME);
	assert_int_equal(look(f.w, 1000), FILE_WATCH_SAME);
	assert_int_equal(look(f.w, 1000), FILE_WATCH_GONE);
	for (int i = 0; i < 200; i++)
		assert_int_equal(look(f.w, 1000), FILE_WATCH_SAME);
	assert_int_equal(rename(away, f.path), 0);
	/* a rename is a change of the file's ctime: better read it again */
	enum file_watch_state s = settled(f.w);

	assert_true(s == FILE_WATCH_BACK || s == FILE_WATCH_CHANGED);
	forget(&f);
	/* and another one in its place */
	make(&f);
	(void)unlink(f.path);
	assert_int_equal(settled(f.w), FILE_WATCH_GONE);
	put(f.path, "new\n");
	assert_int_equal(settled(f.w), FILE_WATCH_CHANGED);
	forget(&f);
}

static void
empty(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	put(f.path, "");
	assert_int_equal(settled(f.w), FILE_WATCH_EMPTY);
	for (int i = 0; i < 200; i++)
		assert_int_equal(look(f.w, 1000), FILE_WATCH_SAME);
	put(f.path, "a\n");
	assert_int_equal(settled(f.w), FILE_WATCH_CHANGED);
	forget(&f);
}

/* A file that was written while it was read may have been read in part. */
static void
written_while_read(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	const struct string_list *const lists[] = { &f.files };

	assert_int_equal(file_watch_files(f.w, lists, 1, clock_now_ms()), 0);
	assert_int_equal(settled(f.w), FILE_WATCH_CHANGED);
	/* a time that lies in the future is no reason to read for ever */
	struct utimbuf future = { .actime = clock_now() + 99999,
		.modtime = clock_now() + 99999 };

	assert_int_equal(utime(f.path, &future), 0);
	assert_int_equal(
	    file_watch_files(f.w, lists, 1, clock_now_ms() + 5000), 0);
	assert_int_equal(settled(f.w), FILE_WATCH_SAME);
	forget(&f);
}

static void
nothing(void **state)
{
	struct file_watch *w = file_watch_new();

	(void)state;
	assert_int_equal(file_watch_look(w, 1, &which), FILE_WATCH_SAME);
	assert_int_equal(file_watch_files(w, NULL, 0, 0), 0);
	assert_int_equal(file_watch_look(w, 1, &which), FILE_WATCH_SAME);
	file_watch_free(w);
	file_watch_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes),
		cmocka_unit_test(replaced),
		cmocka_unit_test(gone),
		cmocka_unit_test(empty),
		cmocka_unit_test(written_while_read),
		cmocka_unit_test(nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
