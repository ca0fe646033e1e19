/* SPDX-License-Identifier: ISC */
/* whose an executable is: on a tree of our own, which only root can make so */
#include "tests/unit/unit.h"

#include <sys/stat.h>

#include "common/grammar/exe.h"

static char top[] = "/var/lib/popgate-unit-XXXXXX";

static void
make(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	if (name[strlen(name) - 1] == '/') {
		assert_int_equal(mkdir(path, 0700), 0);
	} else {
		FILE *to = fopen(path, "w");

		assert_non_null(to);
		(void)fclose(to);
	}
	assert_int_equal(chown(path, uid, gid), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
owners_and_modes(void **state)
{
	static const struct {
		const char *path;
		bool want;
	} rows[] = {
		{ "good/imapd", true },
		{ "good/gone", true }, /* replaced by an upgrade */
		{ "good/of-a-user", false },
		{ "good/group-root", true },
		{ "good/group-staff", false },
		{ "good/everybody", false },
		{ "good/link", false },
		{ "good/deep", false }, /* a directory */
		{ "good/deep/imapd", true },
		{ "good/none/imapd", false },
		{ "good/imapd/imapd", false },
		{ "of-a-user/imapd", false },
		{ "staff/imapd", false },
		{ "everybody/imapd", false },
		{ "everybody/gone", false },
		{ "link/imapd", false },
	};
	char path[200], to[200];

	(void)state;
	make("good/", 0755, 0, 0);
	make("good/imapd", 0755, 0, 0);
	make("good/of-a-user", 0755, 1234, 0);
	make("good/group-root", 0775, 0, 0);
	make("good/group-staff", 0775, 0, 50);
	make("good/everybody", 0757, 0, 0);
	make("good/deep/", 0755, 0, 0);
	make("good/deep/imapd", 0755, 0, 0);
	make("of-a-user/", 0755, 1234, 0);
	make("of-a-user/imapd", 0755, 0, 0);
	make("staff/", 0775, 0, 50);
	make("staff/imapd", 0755, 0, 0);
	make("everybody/", 01777, 0, 0);
	make("everybody/imapd", 0755, 0, 0);
	(void)snprintf(path, sizeof(path), "%s/good/link", top);
	assert_int_equal(symlink("imapd", path), 0);
	(void)snprintf(path, sizeof(path), "%s/link", top);
	(void)snprintf(to, sizeof(to), "%s/good", top);
	assert_int_equal(symlink(to, path), 0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].path);
		(void)snprintf(path, sizeof(path), "%s/%s", top, rows[i].path);
		assert_int_equal(
		    exe_only_root(path, strlen(path)), rows[i].want);
		/* what stands behind len isn't read */
		(void)snprintf(
		    path, sizeof(path), "%s/%s (deleted)", top, rows[i].path);
		assert_int_equal(
		    exe_only_root(path, strlen(path) - strlen(" (deleted)")),
		    rows[i].want);
	}
	/* not /var: it isn't the same everywhere */
	(void)snprintf(path, sizeof(path), "%s/good/imapd", top);
	assert_false(exe_only_root(path + 1, strlen(path) - 1));
}

static void
no_path(void **state)
{
	static char big[8192];

	(void)state;
	assert_false(exe_only_root("", 0));
	assert_false(exe_only_root("/", 1));
	assert_false(exe_only_root("imapd", 5));
	assert_false(exe_only_root("/usr/bin/\0/x", 12));
	assert_false(exe_only_root("/tmp/popgate-no-such-file", 25));
	memset(big, 'x', sizeof(big));
	big[0] = '/';
	assert_false(exe_only_root(big, sizeof(big)));
}

static int
set_up(void **state)
{
	(void)state;
	return mkdtemp(top) != NULL && chmod(top, 0755) == 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	return unit_remove(top);
}

int
main(void)
{
	const struct CMUnitTest as_root[] = {
		cmocka_unit_test(owners_and_modes),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_path),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (geteuid() == 0)
		failed += cmocka_run_group_tests(as_root, set_up, tear_down);
	return failed;
}
