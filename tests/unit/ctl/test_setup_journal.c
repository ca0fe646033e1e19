/* SPDX-License-Identifier: ISC */
/* test_setup_journal - what setup changes can be put back, whoever has done
 * what in between, and after every instant at which it may be interrupted. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "common/base/err.h"
#include "ctl/setup/journal.h"

static char top[64], dir[80];
static struct err err;

/* A path below the test's own directory (static, the last four stay). */
static const char *
at(const char *name)
{
	static char paths[4][200];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", top, name);
	return path;
}

static void
put(const char *name, const char *text)
{
	FILE *to = fopen(at(name), "w");

	assert_non_null(to);
	assert_true(fputs(text, to) >= 0);
	assert_int_equal(fclose(to), 0);
}

/* The contents of a file; "-" when it isn't there. */
static const char *
get(const char *name)
{
	static char text[4][200];
	static unsigned next;
	char *buf = text[next++ % 4];
	FILE *from = fopen(at(name), "r");

	if (from == NULL)
		return "-";
	size_t n = fread(buf, 1, sizeof(text[0]) - 1, from);

	buf[n] = '\0';
	(void)fclose(from);
	return buf;
}

static int
begin_test(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "%s", unit_dir());
	(void)snprintf(dir, sizeof(dir), "%s/journal", top);
	return 0;
}

static int
end_test(void **state)
{
	(void)state;
	return unit_remove(top);
}

/* --- a setup, and an undo --- */

static char acts[400], fates[800];

static int
note_act(void *arg, const char *act, struct err *why)
{
	size_t n = strlen(acts);

	(void)arg;
	(void)snprintf(acts + n, sizeof(acts) - n, "%s;", act);
	if (strcmp(act, "fails") != 0)
		return 0;
	err_set(why, ERR_IO, "it fails");
	return -1;
}

static void
note_fate(void *arg, const struct journal_told *told)
{
	static const char *const words[] = { "restored", "removed", "untouched",
		"left", "failed" };
	size_t n = strlen(fates);
	const char *name =
	    told->path == NULL ? told->act : strrchr(told->path, '/') + 1;

	(void)arg;
	(void)snprintf(
	    fates + n, sizeof(fates) - n, "%s %s;", name, words[told->fate]);
}

static const struct journal_undo how = { note_act, note_fate, NULL };

static struct journal *
open_journal(void)
{
	struct journal *j;

	err.text[0] = '\0';
	if (journal_open(dir, JOURNAL_CHANGE, &j, &err) == -1)
		fail_msg("%s", err.text);
	return j;
}

static void
add(struct journal *j, const char *name, const char *before, const char *after)
{
	assert_int_equal(journal_add_file(j, at(name), before,
			     before == NULL ? 0 : strlen(before), after,
			     strlen(after), 0640, &err),
	    0);
}

/* a: changed, b: new, and an act between. Stops after so many steps; returns
 * false when there are no more. */
static bool
apply(struct journal *j, int steps)
{
	assert_int_equal(journal_begin(j, 1000, &err), 0);
	add(j, "b", NULL, "new b\n");
	assert_int_equal(journal_add_act(j, "reload it", &err), 0);
	add(j, "a", "old a\n", "new a\n");
	if (steps-- == 0)
		return true;
	assert_int_equal(journal_seal(j, &err), 0);
	if (steps-- == 0)
		return true;
	assert_int_equal(journal_make(j, at("b"), &err), 0);
	if (steps-- == 0)
		return true;
	assert_int_equal(journal_make(j, at("a"), &err), 0);
	if (steps-- == 0)
		return true;
	assert_int_equal(journal_commit(j, &err), 0);
	return steps-- == 0;
}

static int
undo_all(void)
{
	struct journal *j = open_journal();
	int n = journal_undo_all(j, &how, &err);

	journal_close(&j);
	return n;
}

static void
begin_files(void)
{
	acts[0] = fates[0] = '\0';
	put("a", "old a\n");
	assert_int_equal(chmod(at("a"), 0604), 0);
}

/* The number of entries of a directory besides "." and "..". */
static int
count(const char *path)
{
	DIR *d = opendir(path);
	int n = -2;

	if (d == NULL)
		return -1;
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

static void
there_and_back(void **state)
{
	const struct timespec old[2] = { { 500, 7 }, { 600, 8 } };
	struct stat st;
	char value[10] = "";

	(void)state;
	begin_files();
	bool xattrs = setxattr(at("a"), "user.test", "x", 1, 0) == 0;

	assert_int_equal(utimensat(AT_FDCWD, at("a"), old, 0), 0);
	struct journal *j = open_journal();

	assert_int_equal(journal_state(j, NULL), JOURNAL_NOTHING);
	assert_true(apply(j, 4));
	assert_int_equal(journal_state(j, NULL), JOURNAL_APPLIED);
	journal_close(&j);
	assert_string_equal(get("a"), "new a\n");
	assert_string_equal(get("b"), "new b\n");
	assert_int_equal(stat(at("a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	assert_int_equal(stat(at("b"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(count(top), 3); /* a, b, journal: nothing beside */

	assert_int_equal(undo_all(), 0);
	assert_string_equal(acts, "reload it;");
	assert_string_equal(fates, "a restored;reload it restored;b removed;");
	assert_string_equal(get("a"), "old a\n");
	assert_string_equal(get("b"), "-");
	assert_int_equal(stat(at("a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	assert_int_equal(st.st_mtim.tv_sec, 600);
	assert_int_equal(st.st_mtim.tv_nsec, 8);
	if (xattrs)
		assert_int_equal(
		    getxattr(at("a"), "user.test", value, sizeof(value)), 1);
	assert_int_equal(count(top), 2);
	assert_int_equal(count(dir), 0);
	/* once more is harmless */
	fates[0] = '\0';
	assert_int_equal(undo_all(), 0);
	assert_string_equal(fates, "");
}

/* A killed process as the system sees it: nothing is released, and nothing more
 * is done. */
static void
interrupted_between_steps(void **state)
{
	(void)state;
	for (int steps = 0; steps < 4; steps++) {
		begin_files();
		pid_t pid = fork();

		if (pid == 0) {
			struct journal *j = open_journal();

			(void)apply(j, steps);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		struct journal *j = open_journal();
		enum journal_state now = journal_state(j, NULL);

		ROW("%d steps", steps);
		assert_int_equal(
		    now, steps == 0 ? JOURNAL_NOTHING : JOURNAL_APPLYING);
		assert_int_equal(journal_undo_newest(j, &how, &err), 0);
		assert_int_equal(journal_state(j, NULL), JOURNAL_NOTHING);
		journal_close(&j);
		assert_string_equal(get("a"), "old a\n");
		assert_string_equal(get("b"), "-");
		assert_int_equal(count(top), 2);
		assert_int_equal(count(dir), 0);
	}
}

/* --- somebody has changed files since --- */

static const struct {
	const char *name;
	const char *a, *b; /* what they hold at the undo; NULL: removed */
	const char *want_a, *want_b, *want_fates;
	int want; /* how many are left */
} edited[] = {
	{ "nobody did", "new a\n", "new b\n", "old a\n", "-",
	    "a restored;reload it restored;b removed;", 0 },
	{ "a was edited", "new a\nmine\n", "new b\n", "new a\nmine\n", "-",
	    "a left;reload it restored;b removed;", 1 },
	{ "b was edited", "new a\n", "mine\n", "old a\n", "mine\n",
	    "a restored;reload it restored;b left;", 1 },
	{ "a was put back by hand", "old a\n", "new b\n", "old a\n", "-",
	    "a untouched;reload it restored;b removed;", 0 },
	{ "b was removed by hand", "new a\n", NULL, "old a\n", "-",
	    "a restored;reload it restored;b untouched;", 0 },
	{ "a was removed by hand", NULL, "new b\n", "-", "-",
	    "a left;reload it restored;b removed;", 1 },
	{ "a was emptied", "", "new b\n", "", "-",
	    "a left;reload it restored;b removed;", 1 },
};

static void
edited_since(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(edited) / sizeof(edited[0]); i++) {
		ROW("%s", edited[i].name);
		(void)begin_test(NULL);
		begin_files();
		struct journal *j = open_journal();

		assert_true(apply(j, 4));
		journal_close(&j);
		if (edited[i].a == NULL)
			assert_int_equal(unlink(at("a")), 0);
		else
			put("a", edited[i].a);
		if (edited[i].b == NULL)
			assert_int_equal(unlink(at("b")), 0);
		else
			put("b", edited[i].b);
		assert_int_equal(undo_all(), edited[i].want);
		assert_string_equal(get("a"), edited[i].want_a);
		assert_string_equal(get("b"), edited[i].want_b);
		assert_string_equal(fates, edited[i].want_fates);
		/* what is left stays known, and is not touched again */
		fates[0] = '\0';
		assert_int_equal(undo_all(), 0);
		assert_string_equal(fates, "");
		j = open_journal();
		journal_each_left(j, note_fate, NULL);
		assert_int_equal(fates[0] != '\0', edited[i].want);
		assert_int_equal(journal_state(j, NULL), JOURNAL_NOTHING);
		journal_close(&j);
		(void)end_test(NULL);
	}
	(void)begin_test(NULL);
}

static void
a_link_is_left(void **state)
{
	(void)state;
	begin_files();
	struct journal *j = open_journal();

	assert_true(apply(j, 4));
	journal_close(&j);
	put("elsewhere", "new a\n");
	assert_int_equal(unlink(at("a")), 0);
	assert_int_equal(symlink(at("elsewhere"), at("a")), 0);
	assert_int_equal(undo_all(), 1);
	assert_string_equal(get("elsewhere"), "new a\n");
}

/* --- two transactions --- */

static void
one_on_the_other(void **state)
{
	(void)state;
	begin_files();
	struct journal *j = open_journal();

	assert_true(apply(j, 4));
	assert_int_equal(journal_begin(j, 2000, &err), 0);
	add(j, "a", "new a\n", "newest a\n");
	assert_int_equal(journal_seal(j, &err), 0);
	assert_int_equal(journal_make(j, at("a"), &err), 0);
	assert_int_equal(journal_commit(j, &err), 0);
	journal_close(&j);
	assert_string_equal(get("a"), "newest a\n");
	assert_int_equal(undo_all(), 0);
	assert_string_equal(get("a"), "old a\n");
	assert_string_equal(get("b"), "-");
	assert_string_equal(
	    fates, "a restored;a restored;reload it restored;b removed;");
}

/* --- what can't be begun --- */

static void
changed_meanwhile(void **state)
{
	(void)state;
	begin_files();
	struct journal *j = open_journal();

	assert_int_equal(journal_begin(j, 1000, &err), 0);
	add(j, "a", "what the plan saw\n", "new a\n");
	assert_int_equal(journal_seal(j, &err), -1);
	assert_int_equal(err.code, ERR_BUSY);
	assert_int_equal(journal_state(j, NULL), JOURNAL_NOTHING);
	journal_close(&j);
	assert_string_equal(get("a"), "old a\n");
	assert_int_equal(count(dir), 0);
	assert_int_equal(count(top), 2);
}

static void
two_at_once(void **state)
{
	struct journal *j = open_journal(), *other;

	(void)state;
	assert_int_equal(journal_open(dir, JOURNAL_CHANGE, &other, &err), -1);
	assert_int_equal(err.code, ERR_BUSY);
	/* looking is always possible */
	assert_int_equal(journal_open(dir, JOURNAL_LOOK, &other, &err), 0);
	journal_close(&other);
	journal_close(&j);
	j = open_journal();
	journal_close(&j);
}

static void
a_journal_of_others(void **state)
{
	struct journal *j;

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(journal_open(dir, JOURNAL_CHANGE, &j, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
}

static const struct {
	const char *name, *manifest;
} damaged[] = {
	{ "empty", "" },
	{ "another version", "popgate setup 9\napplied\n1\nend\n" },
	{ "cut", "popgate setup 1\napplied\n1\nfile /etc/a\n" },
	{ "a state nobody knows", "popgate setup 1\nwell\n1\nend\n" },
	{ "an entry nobody knows",
	    "popgate setup 1\napplied\n1\nfolder /etc/a\nend\n" },
	{ "a relative path", "popgate setup 1\napplied\n1\nfile etc/a\nend\n" },
};

static void
a_damaged_manifest(void **state)
{
	struct journal *j;

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(mkdir(at("journal/000001"), 0700), 0);
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		ROW("%s", damaged[i].name);
		put("journal/000001/manifest", damaged[i].manifest);
		assert_int_equal(
		    journal_open(dir, JOURNAL_CHANGE, &j, &err), -1);
		assert_int_equal(err.code, ERR_VERSION);
	}
}

static void
a_failing_act_stops_nothing(void **state)
{
	(void)state;
	begin_files();
	struct journal *j = open_journal();

	assert_int_equal(journal_begin(j, 1000, &err), 0);
	add(j, "a", "old a\n", "new a\n");
	assert_int_equal(journal_add_act(j, "fails", &err), 0);
	assert_int_equal(journal_seal(j, &err), 0);
	assert_int_equal(journal_make(j, at("a"), &err), 0);
	assert_int_equal(journal_undo_newest(j, &how, &err), 1);
	journal_close(&j);
	assert_string_equal(fates, "fails failed;a restored;");
	assert_string_equal(get("a"), "old a\n");
	assert_int_equal(count(dir), 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)
	const struct CMUnitTest tests[] = {
		T(there_and_back),
		T(interrupted_between_steps),
		T(edited_since),
		T(a_link_is_left),
		T(one_on_the_other),
		T(changed_meanwhile),
		T(two_at_once),
		T(a_journal_of_others),
		T(a_damaged_manifest),
		T(a_failing_act_stops_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
