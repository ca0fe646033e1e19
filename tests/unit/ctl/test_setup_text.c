/* SPDX-License-Identifier: ISC */
/* test_setup_text - the edit of popgate.conf's text, and the diff that shows
 * what setup would change; a setting of systemd's. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "common/base/err.h"
#include "ctl/diff.h"
#include "ctl/setup/conf_edit.h"
#include "ctl/setup/setup.h"

static const struct {
	const char *name, *text, *key, *value, *want; /* NULL: refused */
} edits[] = {
	{ "a value is replaced", "relay: { mode = \"enforce\"; };\n",
	    "relay.mode", "\"monitor\"", "relay: { mode = \"monitor\"; };\n" },
	{ "with = and , as well", "relay = { mode = \"enforce\", a = 1 }\n",
	    "relay.mode", "\"monitor\"",
	    "relay = { mode = \"monitor\", a = 1 }\n" },
	{ "without an end", "relay:\n{\n\tmode = \"a\"\n}\n", "relay.mode",
	    "\"b\"", "relay:\n{\n\tmode = \"b\"\n}\n" },
	{ "strings behind each other are one value",
	    "relay: { mode = \"a\" # x\n \"b\"; };", "relay.mode", "\"c\"",
	    "relay: { mode = \"c\"; };" },
	{ "a list over several lines",
	    "c: { s = ( { f = \"/;}\"; },\n  { j = \"x\"; } ); t = 1; };",
	    "c.s", "( )", "c: { s = ( ); t = 1; };" },
	{ "a comment is no setting",
	    "relay: {\n\t/* mode = 1; */ // mode = 2;\n\tmode = 3;\n};",
	    "relay.mode", "4",
	    "relay: {\n\t/* mode = 1; */ // mode = 2;\n\tmode = 4;\n};" },
	{ "of another group of the same name",
	    "a: { mode = 1; }; relay: { b: { mode = 2; }; mode = 3; };",
	    "relay.mode", "4",
	    "a: { mode = 1; }; relay: { b: { mode = 2; }; mode = 4; };" },
	{ "added to a group", "relay:\n{\n\ta = 1;\n};\n", "relay.mode", "2",
	    "relay:\n{\n\tmode = 2;\n\ta = 1;\n};\n" },
	{ "added to a group of one line", "relay: { a = 1; };\n", "relay.mode",
	    "2", "relay: {\n\tmode = 2; a = 1; };\n" },
	{ "added behind the comment that shows its default",
	    "relay:\n{\n\ta = 1;\n\t# mode = [ 1,\n\t#     2 ];\n\tb = 1;\n};\n",
	    "relay.mode", "[ ]",
	    "relay:\n{\n\ta = 1;\n\t# mode = [ 1,\n\t#     2 ];\n\tmode = [ ];\n\tb = 1;\n};\n" },
	{ "the group is added", "a: { };", "relay.mode", "2",
	    "a: { };\n\nrelay:\n{\n\tmode = 2;\n};\n" },
	{ "to an empty file", "", "relay.mode", "2",
	    "\nrelay:\n{\n\tmode = 2;\n};\n" },
	{ "an include is left as it is",
	    "@include \"/x\"\nrelay: { m = 1; };\n", "relay.m", "2",
	    "@include \"/x\"\nrelay: { m = 2; };\n" },
	{ "a quote in a string", "relay: { m = \"a\\\"; m = 9;\"; n = 1; };",
	    "relay.n", "2", "relay: { m = \"a\\\"; m = 9;\"; n = 2; };" },
	{ "not a group", "relay = 1;", "relay.mode", "2", NULL },
	{ "not a configuration", "<relay mode=1>", "relay.mode", "2", NULL },
};

static void
edit(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct err err;
		char *got = conf_edit_set(
		    edits[i].text, edits[i].key, edits[i].value, &err);

		ROW("%s", edits[i].name);
		if (edits[i].want == NULL)
			assert_null(got);
		else
			assert_string_equal(got, edits[i].want);
		free(got);
	}
}

static const struct {
	const char *name, *before, *after, *want;
} diffs[] = {
	{ "the same", "a\nb\n", "a\nb\n", "" },
	{ "a line more", "a\nb\n", "a\nx\nb\n",
	    "--- f\n+++ f\n@@ -1,2 +1,3 @@\n a\n+x\n b\n" },
	{ "a line less", "a\nb\n", "b\n",
	    "--- f\n+++ f\n@@ -1,2 +1,1 @@\n-a\n b\n" },
	{ "another line", "a\nb\nc\n", "a\nB\nc\n",
	    "--- f\n+++ f\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n" },
	{ "a new file", NULL, "a\n",
	    "--- /dev/null\n+++ f\n@@ -0,0 +1,1 @@\n+a\n" },
	{ "no end of the last line", "a\n", "a",
	    "--- f\n+++ f\n@@ -1,1 +1,1 @@\n-a\n+a\n\\ No newline at end of file\n" },
	{ "two places far apart", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n",
	    "x\n2\n3\n4\n5\n6\n7\n8\n9\ny\n",
	    "--- f\n+++ f\n@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n"
	    "@@ -7,4 +7,4 @@\n 7\n 8\n 9\n-10\n+y\n" },
	{ "two places near", "1\n2\n3\n4\n5\n6\n7\n8\n",
	    "x\n2\n3\n4\n5\n6\n7\ny\n",
	    "--- f\n+++ f\n@@ -1,8 +1,8 @@\n-1\n+x\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+y\n" },
	{ "what harms a terminal is escaped, a tab is none", "",
	    "\ta\033[31m\n", "--- f\n+++ f\n@@ -0,0 +1,1 @@\n+\ta\\x1b[31m\n" },
};

static void
diff(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(diffs) / sizeof(diffs[0]); i++) {
		char *got = NULL;
		size_t len = 0;
		FILE *to = open_memstream(&got, &len);

		ROW("%s", diffs[i].name);
		assert_int_equal(
		    diff_print(to, "f", diffs[i].before, diffs[i].after, true),
		    0);
		assert_int_equal(fclose(to), 0);
		assert_string_equal(got, diffs[i].want);
		free(got);
	}
}

static const struct {
	const char *said, *dir;
	bool want;
} paths[] = {
	{ "ReadWritePaths=/run/popgate\n", "/run/popgate", true },
	{ "ReadWritePaths=-/var/lib/popgate -/run/popgate\n", "/run/popgate",
	    true },
	{ "ReadWritePaths=/var/spool/postfix\n", "/var/spool/postfix/popgate",
	    true },
	{ "ReadWritePaths=-/var/spool/postfix/\n", "/var/spool/postfix/popgate",
	    true },
	{ "ReadWritePaths=/\n", "/var/spool/postfix/popgate", true },
	{ "ReadWritePaths=-+/srv/mail -/run\n", "/run/mail", true },
	{ "ReadWritePaths=/var/spool/postfix/popgate2\n",
	    "/var/spool/postfix/popgate", false },
	{ "ReadWritePaths=/var/spool/postfix/popgate/in\n",
	    "/var/spool/postfix/popgate", false },
	{ "ReadWritePaths=/mnt/var/spool/postfix/popgate\n",
	    "/var/spool/postfix/popgate", false },
	{ "ReadWritePaths=\n", "/run/popgate", false },
	{ "", "/run/popgate", false },
};

static void
paths_hold(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		ROW("%s holds %s", paths[i].said, paths[i].dir);
		assert_int_equal(setup_paths_hold(paths[i].said, paths[i].dir),
		    paths[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edit),
		cmocka_unit_test(diff),
		cmocka_unit_test(paths_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
