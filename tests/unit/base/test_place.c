/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/place.h"

static char path[128];

/* A path in a new directory. */
static void
new_path(const char *name)
{
	(void)snprintf(path, sizeof(path), "%s/%s", unit_dir(), name);
}

static void
put(const char *name, const char *text)
{
	char other[200];

	(void)snprintf(other, sizeof(other), "%s%s", path, name);
	FILE *to = fopen(other, "w");

	assert_non_null(to);
	(void)fputs(text, to);
	(void)fclose(to);
}

static bool
is_there(const char *name)
{
	char other[200];
	struct stat st;

	(void)snprintf(other, sizeof(other), "%s%s", path, name);
	return lstat(other, &st) == 0;
}

static void
remove_all(void)
{
	*strrchr(path, '/') = '\0';
	assert_int_equal(unit_remove(path), 0);
}

static void
made_and_put_there(void **state)
{
	char text[8] = "", temporary[40];
	struct place p;
	struct stat st, now;
	struct err err;

	(void)state;
	new_path("map");
	assert_int_equal(place_open(&p, path, &err), 0);
	/* names that a dead process has left, or that somebody expects */
	for (int i = 0; i < 3; i++) {
		(void)snprintf(temporary, sizeof(temporary),
		    ".popgate-%ld%02d.new", (long)getpid(), i);
		put(temporary, "not ours");
	}
	int fd = place_create(&p, &err);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, "new", 3), 3);
	assert_false(is_there(""));
	assert_int_equal(place_commit(&p, fd, 0604, &st, &err), 0);
	(void)close(fd);
	assert_int_equal(stat(path, &now), 0);
	assert_int_equal(now.st_ino, st.st_ino);
	assert_int_equal(now.st_mode & 07777, 0604);
	assert_true(is_there(temporary)); /* not ours, not removed */
	place_clean(&p);
	assert_false(is_there(temporary));
	assert_true(is_there(""));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 3);
	(void)close(fd);
	place_close(&p);
	remove_all();
}

static void
all_names_taken(void **state)
{
	char temporary[40];
	struct place p;
	struct err err;

	(void)state;
	new_path("map");
	for (int i = 0; i < 100; i++) {
		(void)snprintf(temporary, sizeof(temporary),
		    ".popgate-%ld%02d.new", (long)getpid(), i);
		put(temporary, "");
	}
	assert_int_equal(place_open(&p, path, &err), 0);
	assert_int_equal(place_create(&p, &err), -1);
	assert_non_null(strstr(err.text, "File exists"));
	place_close(&p);
	assert_true(is_there(temporary));
	remove_all();
}

static void
by_name_below_a_private_directory(void **state)
{
	char name[PLACE_PRIVATE_MAX];
	struct place p;
	struct stat st;
	struct err err;

	(void)state;
	for (int commit = 0; commit <= 1; commit++) {
		new_path("map.db");
		assert_int_equal(place_open(&p, path, &err), 0);
		assert_int_equal(place_create_private(&p, name, &err), 0);
		FILE *to = fopen(name, "wx");

		assert_non_null(to);
		(void)fclose(to);
		if (commit) {
			int fd = place_created(&p, &err);

			assert_int_not_equal(fd, -1);
			assert_int_equal(
			    place_commit(&p, fd, 0640, &st, &err), 0);
			(void)close(fd);
		}
		place_close(&p);
		assert_int_equal(is_there(""), commit);
		/* nothing is left beside it */
		(void)unlink(path);
		*strrchr(path, '/') = '\0';
		assert_int_equal(rmdir(path), 0);
	}
}

static void
what_is_cleaned(void **state)
{
	static const struct {
		const char *name;
		bool goes;
	} rows[] = { { ".popgate-1.new", true },
		{ ".popgate-98765432109876.new", true },
		{ ".popgate-.new", false }, { ".popgate-1.newer", false },
		{ ".popgate-x1.new", false }, { ".popgate-1x.new", false },
		{ "2.popgate-1.new", false }, { "", false },
		{ ".20261130.new", false } };
	struct place p;
	struct err err;

	(void)state;
	/* as it is, not as a pattern */
	new_path("m*p[1]");
	assert_int_equal(place_open(&p, path, &err), 0);
	for (size_t i = 0; i < LENGTH(rows); i++)
		put(rows[i].name, "x");
	place_clean(&p);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		assert_int_equal(is_there(rows[i].name), !rows[i].goes);
	}
	assert_int_equal(place_truncate(&p, &err), 0);
	assert_true(is_there(""));
	assert_int_equal(place_remove(&p, &err), 0);
	assert_int_equal(place_remove(&p, &err), 0); /* isn't there */
	assert_int_equal(place_truncate(&p, &err), 0);
	assert_false(is_there(""));
	place_close(&p);
	remove_all();
}

static void
bad_names(void **state)
{
	static const char *const rows[] = { "", "/", "/tmp/", ".", "..",
		"/tmp/..", "/tmp/.", "/nonexistent/x", "/etc/passwd/x" };
	struct place p;
	struct err err;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i]);
		err.text[0] = '\0';
		assert_int_equal(place_open(&p, rows[i], &err), -1);
		assert_int_not_equal(errno, 0);
		assert_true(err.text[0] != '\0');
		place_close(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_and_put_there),
		cmocka_unit_test(all_names_taken),
		cmocka_unit_test(by_name_below_a_private_directory),
		cmocka_unit_test(what_is_cleaned), cmocka_unit_test(bad_names)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
