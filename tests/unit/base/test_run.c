/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/run.h"

static void
programs(void **state)
{
	static const struct {
		const char *name, *script, *input;
		const char *want; /* NULL: an error */
		const char *want_err; /* part of its text */
	} rows[] = {
		{ "output", "printf hello", NULL, "hello", NULL },
		{ "nothing", ":", NULL, "", NULL },
		{ "input", "cat", "a\nb\n", "a\nb\n", NULL },
		{ "no input is an empty one", "cat", NULL, "", NULL },
		{ "NUL bytes", "printf 'a\\0b'", NULL, "a?b", NULL },
		{ "input that nobody reads", "printf x", "abc", "x", NULL },
		{ "status", "exit 3", NULL, NULL, "sh" },
		{ "complaint", "echo no table >&2; exit 1", NULL, NULL,
		    "no table" },
		{ "its first line", "echo one >&2; echo two >&2; exit 1", NULL,
		    NULL, "status 1: one" },
		{ "behind warnings",
		    "echo p: warning: a >&2; echo p: fatal: b >&2; exit 1",
		    NULL, NULL, "status 1: p: fatal: b" },
		{ "behind many",
		    "yes 'p: warning: a' | head -99 >&2; "
		    "echo b >&2; exit 1",
		    NULL, NULL, "status 1: b" },
		{ "only warnings", "yes 'p: warning: a' | head -99 >&2; exit 1",
		    NULL, NULL, "status 1: p: warning: a" },
		{ "a colon at the line's end",
		    "echo one: >&2; echo ' two' >&2; exit 1", NULL, NULL,
		    "one:  two" },
		{ "killed", "kill -9 $$", NULL, NULL, "sh" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char script[80];
		char *argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" },
			script, NULL };
		struct err err = { .code = ERR_NONE };

		(void)snprintf(script, sizeof(script), "%s", rows[i].script);
		char *got = run_read(argv, rows[i].input, 30, &err);

		if ((got == NULL) != (rows[i].want == NULL) ||
		    (got != NULL && strcmp(got, rows[i].want) != 0) ||
		    (got == NULL && strstr(err.text, rows[i].want_err) == NULL))
			fail_msg("%s: got '%s', '%s'", rows[i].name,
			    got == NULL ? "(error)" : got, err.text);
		free(got);
	}
}

static void
missing(void **state)
{
	char *argv[] = { (char[]){ "/nonexistent/program" }, NULL };
	struct err err;

	(void)state;
	assert_null(run_read(argv, NULL, 30, &err));
	assert_non_null(strstr(err.text, "/nonexistent/program"));
}

static void
write_program(const char *dir, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/popgate-unit-run", dir);
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	(void)fputs("#!/bin/sh\nprintf found", out);
	(void)fclose(out);
	assert_int_equal(chmod(path, 0755), 0);
}

/* Root doesn't run what others could have put into $PATH. */
static void
path(void **state)
{
	static const struct {
		mode_t mode;
		uid_t owner; /* when root tests */
		bool want;
	} rows[] = {
		{ 0755, 0, true },
		{ 0700, 0, true },
		{ 0775, 0, false },
		{ 0757, 0, false },
		{ 01777, 0, false },
		{ 0755, 65534, false },
	};
	char *argv[] = { (char[]){ "popgate-unit-run" }, NULL };
	/* what a shell that is run looks for in turn */
	char *shell[] = { (char[]){ "sh" }, (char[]){ "-c" },
		(char[]){ "popgate-unit-run 2>/dev/null || printf none" },
		NULL };
	const char *dir = unit_dir();
	static char old_path[4000], new_path[4200];
	char file[200];
	bool root = geteuid() == 0;

	(void)state;
	write_program(dir, file, sizeof(file));
	(void)snprintf(old_path, sizeof(old_path), "%s", getenv("PATH"));
	(void)snprintf(new_path, sizeof(new_path), "%s:%s", dir, old_path);
	(void)setenv("PATH", new_path, 1);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct err err = { .code = ERR_NONE };

		ROW("mode %o, uid %u", rows[i].mode, rows[i].owner);
		if (root)
			assert_int_equal(chown(dir, rows[i].owner, 0), 0);
		assert_int_equal(chmod(dir, rows[i].mode), 0);
		char *got = run_read(argv, NULL, 30, &err);

		assert_int_equal(got != NULL, rows[i].want || !root);
		free(got);
		got = run_read(shell, NULL, 30, &err);
		assert_non_null(got);
		assert_string_equal(
		    got, rows[i].want || !root ? "found" : "none");
		free(got);
	}
	(void)setenv("PATH", old_path, 1);
	(void)unlink(file);
	(void)rmdir(dir);
}

/* Processes that the program has started end with it. */
static void
too_slow(void **state)
{
	char *argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" },
		(char[]){ "sleep 600 & sleep 600" }, NULL };
	struct err err;

	(void)state;
	assert_null(run_read(argv, NULL, 1, &err));
	assert_non_null(strstr(err.text, "sh"));
}

static void
too_much(void **state)
{
	char *argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" },
		(char[]){ "head -c 17000000 /dev/zero" }, NULL };
	struct err err;

	(void)state;
	assert_null(run_read(argv, NULL, 60, &err));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs),
		cmocka_unit_test(missing),
		cmocka_unit_test(path),
		cmocka_unit_test(too_slow),
		cmocka_unit_test(too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
