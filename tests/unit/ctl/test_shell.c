/* SPDX-License-Identifier: ISC */
/* A command that an admin pastes into a root shell holds nothing that a
 * stranger chose and the shell acts on. */
#include "tests/unit/unit.h"

#include "ctl/doctor/doctor.h"
#include "ctl/shell.h"

static void
plain(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} rows[] = {
		{ "alice", true },
		{ "a.b+c@example.test", true },
		{ "/etc/postfix/main.cf", true },
		{ "2001:db8::/32", true },
		{ "127.0.0.1:10025", true },
		{ "", false },
		{ "-rf", false },
		{ "a b", false },
		{ "a\tb", false },
		{ "a\nb", false },
		{ "a;b", false },
		{ "a|b", false },
		{ "a&b", false },
		{ "$(id)", false },
		{ "`id`", false },
		{ "'", false },
		{ "\"", false },
		{ "\\", false },
		{ ">x", false },
		{ "<x", false },
		{ "#x", false },
		{ "~root", false },
		{ "a*", false },
		{ "a?", false },
		{ "[ab]", false },
		{ "{a,b}", false },
		{ "!x", false },
		{ "a\x1b[2J", false },
		{ "\xc3\xa4", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (shell_plain(rows[i].text) != rows[i].want)
			fail_msg("shell_plain(\"%s\") is %d", rows[i].text,
			    !rows[i].want);
}

/* The word that bash makes of shell_print(text); to be freed. */
static char *
through_bash(const char *text)
{
	const char *script = unit_file(0, "");
	char command[200], buf[400];
	int saved = dup(STDOUT_FILENO);
	FILE *bash;
	size_t n;

	assert_int_equal(fflush(stdout), 0);
	assert_non_null(freopen(script, "w", stdout));
	(void)fputs("printf %s ", stdout);
	shell_print(text);
	assert_int_equal(fflush(stdout), 0);
	assert_int_not_equal(dup2(saved, STDOUT_FILENO), -1);
	(void)close(saved);
	(void)snprintf(command, sizeof(command), "bash %s", script);
	bash = popen(command, "r");
	assert_non_null(bash);
	n = fread(buf, 1, sizeof(buf) - 1, bash);
	buf[n] = '\0';
	assert_int_equal(pclose(bash), 0);
	(void)unlink(script);
	return strdup(buf);
}

static void
print(void **state)
{
	static const char *const rows[] = {
		"alice",
		"",
		"a b",
		"it's",
		"'",
		"''; id; '",
		"$(id) `id` $HOME \\ \\n",
		"\x1b[2J",
		"it's\x1b\\x41 \\' $(id)",
		"\xff\xfe",
		"\xc3\xa4 \xe2\x80\xae x",
		"a\nb",
		"-n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = through_bash(rows[i]);

		assert_string_equal(got, rows[i]);
		free(got);
	}
}

/* The fix of one finding; to be freed. */
static char *
fix_of(const struct finding_at *at)
{
	struct doctor d = { .n = 0 };
	char *fix;

	doctor_add(&d, "postfix-unreadable", at, "detail");
	assert_int_equal(d.n, 1);
	fix = strdup(d.v[0].fix);
	doctor_release(&d);
	return fix;
}

static void
fixes(void **state)
{
	static const struct {
		const char *name;
		struct finding_at at;
		const char *want;
	} rows[] = {
		{ "every placeholder",
		    { .fix = "{file}|{line}|{setting}|{value}|{service}|{dir}",
			.file = "/f",
			.line = 7,
			.setting = "s",
			.value = "v",
			.service = "smtp/inet",
			.dir = "/etc/postfix" },
		    "/f|7|s|v|smtp/inet|/etc/postfix" },
		{ "what isn't known", { .fix = "{file} {line}" }, "... 0" },
		{ "a command", { .fix = "rm {file}", .file = "/x; id" },
		    "rm ..." },
		{ "a substitution", { .fix = "'{value}'", .value = "$(id)" },
		    "'...'" },
		{ "the end of a quote", { .fix = "'{value}'", .value = "a'b" },
		    "'...'" },
		{ "an option", { .fix = "cat {file}", .file = "--x" },
		    "cat ..." },
		{ "two words", { .fix = "rm {file}", .file = "/a /b" },
		    "rm ..." },
		{ "a new line", { .fix = "# {file}", .file = "/a\nid" },
		    "# ..." },
		{ "a value isn't a template",
		    { .fix = "{file}", .file = "/{line}" }, "..." },
		{ "an unknown name stays", { .fix = "{x} {" }, "{x} {" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = fix_of(&rows[i].at);

		if (strcmp(got, rows[i].want) != 0)
			fail_msg("%s: got \"%s\", want \"%s\"", rows[i].name,
			    got, rows[i].want);
		free(got);
	}
}

/* Cut, and no byte behind the end is touched. */
static void
long_fix(void **state)
{
	char value[4000];
	char *fix;

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	fix = fix_of(
	    &(struct finding_at){ .fix = "{value}{value}", .value = value });
	assert_true(strlen(fix) > 1000 && strlen(fix) < sizeof(value));
	free(fix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(print),
		cmocka_unit_test(fixes),
		cmocka_unit_test(long_fix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
