/* SPDX-License-Identifier: ISC */
/* Tests of custom.h: which patterns are refused, and what the others match. */
#include "tests/unit/unit.h"

#include <time.h>

#include "common/base/err.h"
#include "common/grammar/custom.h"

#define U "(?<user>\\S+)"
#define I "(?<ip>\\S+)"

struct pattern_row {
	const char *name;
	const char *pattern;
	const char *want; /* part of the error; NULL: accepted */
};

static const struct pattern_row patterns[] = {
	{ "plain", "^in " U " from " I "$", NULL },
	{ "other anchors", "\\Ain " U " from " I "\\z", NULL },
	{ "other spelling of names", "^(?P<user>a) (?'ip'b)$", NULL },
	{ "alternation in a group", "^(?:in|on) " U " " I "$", NULL },
	{ "alternation in a class", "^[|] " U " " I "$", NULL },
	{ "alternation quoted", "^\\| " U " \\Qa|b\\E " I "$", NULL },
	{ "classes of all sorts",
	    "^[]|] [^]|] [[:alpha:]|] [a\\]|] [[:x] " U " " I "$", NULL },
	{ "comment with a bar", "^(?#a|b)" U " " I "$", NULL },
	{ "letter case", "^(?i)in " U " " I "$", NULL },
	{ "letter case in a group", "^(?i:in) " U " " I "$", NULL },
	{ "escaped backslash before the end", "^" U " " I "\\\\$", NULL },
	{ "lookahead", "^(?=x|y)" U " " I "$", NULL },
	{ "no anchors", "in " U " from " I, "begin with" },
	{ "only the first anchor", "^in " U " from " I, "end with" },
	{ "only the last anchor", "in " U " from " I "$", "begin with" },
	{ "last anchor escaped", "^in " U " from " I "\\$", "end with" },
	{ "last anchor in a class", "^in " U " from " I "[$", "end with" },
	{ "last anchor quoted", "^in " U " from " I "\\Q$", "end with" },
	{ "last anchor in a group", "^in " U " from " I "(x|$)", "end with" },
	{ "z escaped", "^in " U " from " I "\\\\z", "end with" },
	{ "end before a newline", "^in " U " from " I "\\Z", "end with" },
	{ "alternation", "^in " U " from " I "$|^x$", "alternation" },
	{ "alternation in the middle", "^in " U "|" I "$", "alternation" },
	{ "alternation behind a class", "^[]]" U "|" I "$", "alternation" },
	{ "alternation behind quotes", "^\\Qx\\E" U "|" I "$", "alternation" },
	{ "many lines", "^(?m)in " U " from " I "$", "inline options" },
	{ "many lines among others", "^(?im)in " U " from " I "$",
	    "inline options" },
	{ "many lines in a group", "^(?m:in) " U " from " I "$",
	    "inline options" },
	{ "extended", "^(?x)in " U " from " I " # $", "inline options" },
	{ "same name twice", "^(?J)(?<user>a)(?<user>b) " I "$",
	    "inline options" },
	{ "all options off", "^(?^)in " U " from " I "$", "inline options" },
	{ "verb", "(*UTF)^" U " " I "$", "begin with" },
	{ "verb inside", "^" U "(*ACCEPT) " I "$", "verbs" },
	{ "another start", "^x\\K" U " " I "$", "\\K" },
	{ "no user", "^in (\\S+) from " I "$", "(?<user>" },
	{ "no address", "^in " U " from (\\S+)$", "(?<ip>" },
	{ "group open", "^(in " U " from " I "$", "not closed" },
	{ "not a pattern", "^in " U " [z-a] " I "$", "at byte" },
	{ "a byte of a character", "^\\C" U " " I "$", "at byte" },
	{ "empty", "", "begin with" },
	{ "one anchor for both", "^", "begin with" },
};

static void
pattern_is_judged(void **state)
{
	const struct pattern_row *row = *state;
	struct custom *custom;
	struct err err = { .code = ERR_NONE, .text = "" };
	int ret = custom_compile("mypopd", row->pattern, NULL, &custom, &err);

	if (row->want == NULL) {
		if (ret != 0)
			fail_msg("refused: %s", err.text);
		assert_string_equal(custom_program(custom), "mypopd");
		custom_free(&custom);
		assert_null(custom);
		return;
	}
	assert_int_equal(ret, -1);
	assert_null(custom);
	assert_int_equal(err.code, ERR_INVALID);
	if (strstr(err.text, row->want) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", err.text, row->want);
	assert_non_null(strstr(err.text, "mypopd"));
}

static struct custom *
compiled(const char *pattern)
{
	struct custom *custom;
	struct err err = { .code = ERR_NONE };

	if (custom_compile("mypopd", pattern, NULL, &custom, &err) == -1)
		fail_msg("refused: %s", err.text);
	return custom;
}

struct match_row {
	const char *name;
	const char *pattern;
	const char *msg;
	const char *want_user; /* NULL: no match */
	const char *want_ip;
};

static const struct match_row matches[] = {
	{ "the whole", "^in " U " from " I "$", "in bob from 192.0.2.1", "bob",
	    "192.0.2.1" },
	{ "more behind", "^in " U " from " I "$", "in bob from 192.0.2.1 x",
	    NULL, NULL },
	{ "more before", "^in " U " from " I "$", "x in bob from 192.0.2.1",
	    NULL, NULL },
	{ "newline behind", "^in " U " from " I "$", "in bob from 192.0.2.1\n",
	    NULL, NULL },
	{ "newline between", "^in " U " from .*" I "$",
	    "in bob from x\n192.0.2.1", NULL, NULL },
	{ "bytes that are no UTF-8", "^in " U " from " I "$",
	    "in b\xFFz from 192.0.2.1", "b\xFFz", "192.0.2.1" },
	{ "group not taken", "^(?:in " U "|out) from " I "$",
	    "out from 192.0.2.1", NULL, NULL },
	{ "group empty", "^in (?<user>\\S*) from " I "$", "in  from 192.0.2.1",
	    NULL, NULL },
	{ "letter case", "^in " U " from " I "$", "In bob from 192.0.2.1", NULL,
	    NULL },
	{ "nothing", "^in " U " from " I "$", "", NULL, NULL },
};

static void
message_is_matched(void **state)
{
	const struct match_row *row = *state;
	struct custom *custom = compiled(row->pattern);
	struct span user, ip;
	bool got = custom_match(
	    custom, span_of(row->msg, strlen(row->msg)), &user, &ip);

	assert_int_equal(got, row->want_user != NULL);
	if (got) {
		assert_int_equal(span_len(user), strlen(row->want_user));
		assert_memory_equal(user.p, row->want_user, span_len(user));
		assert_int_equal(span_len(ip), strlen(row->want_ip));
		assert_memory_equal(ip.p, row->want_ip, span_len(ip));
	}
	custom_free(&custom);
}

/* A pattern with nested repetitions must not hold up the log. */
static void
runaway_pattern_is_stopped(void **state)
{
	struct custom *custom = compiled("^(?:a+)+(?<user>b)(?<ip>c)$");
	char msg[4000];
	struct span user, ip;
	clock_t start = clock();

	(void)state;
	memset(msg, 'a', sizeof(msg));
	for (int i = 0; i < 20; i++)
		assert_false(custom_match(
		    custom, span_of(msg, sizeof(msg)), &user, &ip));
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
	custom_free(&custom);
	custom_free(NULL);
}

static void
too_long_a_pattern_is_refused(void **state)
{
	char pattern[CUSTOM_PATTERN_MAX + 100];
	struct custom *custom;
	struct err err = { .code = ERR_NONE };

	(void)state;
	memset(pattern, 'a', sizeof(pattern));
	pattern[0] = '^';
	pattern[sizeof(pattern) - 2] = '$';
	pattern[sizeof(pattern) - 1] = '\0';
	assert_int_equal(custom_compile("x", pattern, NULL, &custom, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(
	    custom_compile("", "^" U " " I "$", NULL, &custom, &err), -1);
	assert_int_equal(
	    custom_compile("", "^" U " " I "$", NULL, &custom, NULL), -1);
}

int
main(void)
{
	const struct CMUnitTest rest[] = {
		cmocka_unit_test(runaway_pattern_is_stopped),
		cmocka_unit_test(too_long_a_pattern_is_refused),
	};
	int failed = RUN_ROWS("patterns", patterns, pattern_is_judged);

	failed += RUN_ROWS("matches", matches, message_is_matched);
	failed += cmocka_run_group_tests_name("custom", rest, NULL, NULL);
	return failed != 0;
}
