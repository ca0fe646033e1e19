/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"

enum { ARGS = 6 };

static const char *const no_groups[] = { NULL };

/* The return value of fn in a process of its own, whose output nobody sees. */
static int
in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static struct daemon_options
options(void)
{
	return (struct daemon_options){
		.ident = "test",
		.usage = "usage: test\n",
		.library = "libtest 1.0",
	};
}

static const struct option_row {
	const char *name;
	const char *args[ARGS];
	int want; /* -1: go on */
	bool want_test, want_detach, want_quiet;
} option_rows[] = {
	{ .name = "nothing", .want = -1 },
	{ .name = "check", .args = { "-t" }, .want = -1, .want_test = true },
	{ .name = "another word for it",
	    .args = { "--check" },
	    .want = -1,
	    .want_test = true },
	{ .name = "to the background",
	    .args = { "-d" },
	    .want = -1,
	    .want_detach = true,
	    .want_quiet = true },
	{ .name = "there with the journal",
	    .args = { "-d", "-l", "journal" },
	    .want = -1,
	    .want_detach = true },
	{ .name = "check, in the foreground",
	    .args = { "-d", "-t" },
	    .want = -1,
	    .want_test = true,
	    .want_detach = true },
	{ .name = "syslog",
	    .args = { "--log=syslog" },
	    .want = -1,
	    .want_quiet = true },
	{ .name = "no stderr there",
	    .args = { "-d", "-l", "stderr" },
	    .want = EX_USAGE },
	{ .name = "no such log", .args = { "-l", "mail" }, .want = EX_USAGE },
	{ .name = "no such option", .args = { "-x" }, .want = EX_USAGE },
	{ .name = "an argument", .args = { "-t", "a.conf" }, .want = EX_USAGE },
	{ .name = "help", .args = { "-h" }, .want = EX_OK },
	{ .name = "version", .args = { "--version" }, .want = EX_OK },
};
static const struct option_row *row;

static int
parse_row(void)
{
	struct daemon_options opt = options();
	char *argv[ARGS + 2] = { (char[]){ "test" } };
	int argc = 1;

	for (int i = 0; row->args[i] != NULL; i++)
		argv[argc++] = (char *)(uintptr_t)row->args[i];
	int got = daemon_options(&opt, argc, argv);

	return got == row->want &&
		(got != -1 ||
		    (opt.test == row->want_test &&
			opt.detach == row->want_detach &&
			opt.quiet == row->want_quiet))
	    ? 0
	    : 1;
}

static void
options_are_parsed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(option_rows) / sizeof(*row); i++) {
		row = &option_rows[i];
		if (in_child(parse_row) != 0)
			fail_msg("%s", row->name);
	}
}

/* A daemon in the background has another directory at its reload. */
static int
config_is_absolute(void)
{
	const char *path = unit_file(0, "");
	const char *name = strrchr(path, '/') + 1;
	char *argv[] = { (char[]){ "test" }, (char[]){ "-c" },
		(char *)(uintptr_t)name, NULL };
	struct daemon_options opt = options();

	if (chdir("/tmp") == -1)
		return 1;
	int rc = daemon_options(&opt, 3, argv);

	(void)unlink(path);
	return rc == -1 && strcmp(opt.config, path) == 0 ? 0 : 2;
}

static void
config_path(void **state)
{
	(void)state;
	assert_int_equal(in_child(config_is_absolute), 0);
}

static void
exit_codes(void **state)
{
	static const struct {
		enum err_code code;
		int want;
	} rows[] = {
		{ ERR_INVALID, EX_CONFIG },
		{ ERR_VERSION, EX_CONFIG },
		{ ERR_NOMEM, EX_OSERR },
		{ ERR_BUSY, EX_TEMPFAIL },
		{ ERR_IO, EX_CANTCREAT },
		{ ERR_CORRUPT, EX_CANTCREAT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct err err = { .code = rows[i].code };

		assert_int_equal(daemon_exit_code(&err), rows[i].want);
	}
}

static int
advice_names_the_limit(void)
{
	/* far above what even a sanitizer maps */
	const struct rlimit limit = { UINT64_C(1) << 50, UINT64_C(1) << 50 };
	char buf[DAEMON_ADVICE_MAX];

	if (setrlimit(RLIMIT_AS, &limit) == -1)
		return 1;
	(void)daemon_memory_advice("the table: out of memory", buf);
	return strstr(buf, "LimitAS=") != NULL &&
		strstr(buf, "1073741824 MB") != NULL
	    ? 0
	    : 2;
}

static void
memory_advice(void **state)
{
	char buf[DAEMON_ADVICE_MAX];

	(void)state;
	assert_string_equal(daemon_memory_advice("no such file", buf), "");
	assert_ptr_equal(daemon_memory_advice("out of memory", buf), buf);
	assert_non_null(strstr(buf, " MB of address space"));
	assert_int_equal(in_child(advice_names_the_limit), 0);
}

static int
fail_in_child(void)
{
	const struct daemon_options opt = options();

	return daemon_fail(&opt, EX_CONFIG, "it can't go on");
}

static void
failing(void **state)
{
	(void)state;
	assert_int_equal(in_child(fail_in_child), EX_CONFIG);
}

/* --- privileges --- */

static void
root_needs_a_user(void **state)
{
	static const struct {
		const char *name, *value, *usual;
		int want;
		const char *want_text;
	} rows[] = {
		{ "the usual one", "", "nobody", 0, NULL },
		{ "another one", "nobody", "no-such-user-x", 0, NULL },
		{ "root, when it is said", "root", "no-such-user-x", 0, NULL },
		{ "the usual one is missing", "", "no-such-user-x", -1,
		    "adduser --system --group no-such-user-x" },
		{ "the other one is missing", "no-such-user-y", "nobody", -1,
		    "test.user: no-such-user-y: no such user" },
	};

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct daemon_user user = {
			.key = "test.user",
			.value = rows[i].value,
			.usual = rows[i].usual,
			.groups = no_groups,
		};
		struct err err = { .text = "" };
		int got = daemon_user_check(&user, &err);

		if (got != rows[i].want ||
		    (got == -1 && strstr(err.text, rows[i].want_text) == NULL))
			fail_msg(
			    "%s: got %d, '%s'", rows[i].name, got, err.text);
	}
}

static bool
has_group(const char *name)
{
	const struct group *gr = getgrnam(name);
	gid_t gids[64];
	int n = getgroups(64, gids);

	for (int i = 0; gr != NULL && i < n; i++)
		if (gids[i] == gr->gr_gid)
			return true;
	return false;
}

static int
become_nobody(void)
{
	static const char *const groups[] = { "no-such-group-x", "adm", NULL };
	const struct daemon_user user = {
		.key = "test.user",
		.value = "",
		.usual = "nobody",
		.groups = groups,
	};
	const struct passwd *pw = getpwnam("nobody");
	struct err err;

	if (pw == NULL)
		return 1;
	uid_t uid = pw->pw_uid;
	gid_t gid = pw->pw_gid;

	if (daemon_drop(&user, &err) == -1)
		return 2;
	if (getuid() != uid || geteuid() != uid || getgid() != gid ||
	    getegid() != gid)
		return 3;
	if (has_group("root") || !has_group("adm"))
		return 4;
	/* there is no way back; and it isn't asked for twice */
	if (setuid(0) != -1 || seteuid(0) != -1 || setgid(0) != -1)
		return 5;
	return daemon_drop(&user, &err) == 0 ? 0 : 6;
}

static int
stay_root(void)
{
	const struct daemon_user user = {
		.key = "test.user",
		.value = "root",
		.usual = "nobody",
		.groups = no_groups,
	};
	struct err err;

	return daemon_drop(&user, &err) == 0 && geteuid() == 0 ? 0 : 1;
}

static void
privileges_are_dropped(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(become_nobody), 0);
	assert_int_equal(in_child(stay_root), 0);
}

/* --- the background --- */

static int
detach_and_serve(void)
{
	struct err err;

	if (daemon_detach(&err) == -1)
		return 1;
	/* only the child comes here; the parent waits for this */
	daemon_ready();
	return 2;
}

static int
detach_and_fail(void)
{
	struct err err;

	return daemon_detach(&err) == -1 ? 1 : EX_CANTCREAT;
}

static int
detach_and_check(void)
{
	char dir[8];
	struct err err;

	if (daemon_detach(&err) == -1)
		return 1;
	return getsid(0) == getpid() && getcwd(dir, sizeof(dir)) != NULL &&
		strcmp(dir, "/") == 0
	    ? 42
	    : 2;
}

/* The process that started a daemon learns how it went. */
static void
the_parent_waits(void **state)
{
	(void)state;
	assert_int_equal(in_child(detach_and_serve), EX_OK);
	assert_int_equal(in_child(detach_and_fail), EX_CANTCREAT);
	assert_int_equal(in_child(detach_and_check), 42);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_parsed),
		cmocka_unit_test(config_path),
		cmocka_unit_test(exit_codes),
		cmocka_unit_test(memory_advice),
		cmocka_unit_test(failing),
		cmocka_unit_test(root_needs_a_user),
		cmocka_unit_test(privileges_are_dropped),
		cmocka_unit_test(the_parent_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
