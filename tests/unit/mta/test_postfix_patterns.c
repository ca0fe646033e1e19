/* SPDX-License-Identifier: ISC */
/* pcre_table(5) and regexp_table(5), line by line. The whole is compared with a
 * real Postfix in tests/system/test_domains.py. */
#include "tests/unit/unit.h"

#include "common/base/err.h"
#include "common/mta/postfix_patterns.h"

enum { REGEXP = 1, PCRE = 2, BOTH = 3 };

static const struct row {
	const char *name;
	int kinds;
	const char *text, *key;
	int want; /* -2: not taken */
} rows[] = {
	{ "empty", BOTH, "", "a.test", 0 },
	{ "comments and blank lines", BOTH, "# /a/ x\n\n  # /a/ x\n", "a", 0 },
	{ "a rule", BOTH, "/^a\\.test$/ OK\n", "a.test", 1 },
	{ "no newline at the end", BOTH, "/^a\\.test$/ OK", "a.test", 1 },
	{ "another key", BOTH, "/^a\\.test$/ OK\n", "b.test", 0 },
	{ "case doesn't matter", BOTH, "/^A\\.test$/ OK\n", "a.test", 1 },
	{ "i: it does", BOTH, "/^A\\.test$/i OK\n", "a.test", 0 },
	{ "negated", BOTH, "!/^a/ OK\n", "b", 1 },
	{ "negated, matches", BOTH, "!/^a/ OK\n", "a", 0 },
	{ "negated twice", BOTH, "!!/^a/ OK\n", "a", 1 },
	{ "another delimiter", BOTH, "|^a/b| OK\n", "a/b", 1 },
	{ "an escaped delimiter", PCRE, "/a\\/b/ OK\n", "a/b", 1 },
	{ "blanks in the expression", BOTH, "/a b/ OK\n", "a b", 1 },
	{ "a line that goes on", BOTH, "/^a$/\n   OK\n/^b$/ x\n", "b", 1 },
	{ "an empty result", BOTH, "/^a$/\n", "a", 1 },
	{ "if", BOTH, "if /^a/\n/b$/ OK\nendif\n", "ab", 1 },
	{ "if doesn't", BOTH, "if /^a/\n/b$/ OK\nendif\n/^x/ x\n", "xb", 1 },
	{ "if not", BOTH, "if !/^a/\n/b$/ OK\nendif\n", "ab", 0 },
	{ "if in if", BOTH,
	    "if /a/\nif /b/\n/c/ x\nendif\n/d/ x\nENDIF\n/e/ x\n", "ad", 1 },
	{ "if in if, the outer doesn't", BOTH,
	    "if /a/\nif /b/\n/c/ x\nendif\n/d/ x\nendif\n/e/ x\n", "de", 1 },
	{ "an if that doesn't end", BOTH, "if /a/\n/b/ x\n", "b", 0 },
	{ "an endif without if", BOTH, "/a/ x\nendif\n", "a", -2 },
	{ "a group", BOTH, "/^(a)$/ $1\n", "a", 1 },
	{ "a group in braces", BOTH, "/^(a)$/ ${1}x$(1)$$\n", "a", 1 },
	{ "a group that there isn't", BOTH, "/^(a)$/ $2\n", "a", -2 },
	{ "a group of what doesn't match", BOTH, "!/^(b)$/ $1\n", "a", -2 },
	{ "lookahead", PCRE, "/^a(?=b)/ x\n", "ab", 1 },
	{ "x", PCRE, "/^ a $/x x\n", "a", 1 },
	{ "x: no extended", REGEXP, "/^a+$/x x\n", "a+", 1 },
	{ "an unknown flag", BOTH, "/a/Q x\n", "a", -2 },
	{ "a broken expression", BOTH, "/(a/ x\n", "a", -2 },
	{ "an expression that doesn't end", BOTH, "/a x\n", "a", -2 },
	{ "no expression", BOTH, "a x\n", "a", -2 },
	{ "nothing but negations", BOTH, "!!\n", "a", -2 },
	{ "two expressions", BOTH, "/a/!/b/ x\n", "a", -2 },
	{ "a backslash at the end", BOTH, "/a\\\n", "a", -2 },
	/* who chooses the key can't make it take long */
	{ "too many steps", PCRE, "/^((a+)+)+$/ x\n",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", -1 },
};

static void
lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		for (int kind = REGEXP; kind <= PCRE; kind++) {
			struct err err = { .code = ERR_NONE };

			if ((rows[i].kinds & kind) == 0)
				continue;
			ROW("%s, %s", rows[i].name,
			    kind == PCRE ? "pcre" : "regexp");
			struct postfix_patterns *p = postfix_patterns_new(
			    rows[i].text, kind == PCRE, &err);
			int got = p == NULL
			    ? -2
			    : postfix_patterns_match(p, rows[i].key);

			assert_int_equal(got, rows[i].want);
			assert_int_equal(p == NULL, err.code != ERR_NONE);
			postfix_patterns_free(p);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
