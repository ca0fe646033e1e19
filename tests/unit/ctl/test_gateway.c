/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "ctl/rehearsal/exim_limits.h"
#include "ctl/rehearsal/gateway.h"

static void
expressions(void **state)
{
	static const struct {
		const char *regex, *want, *want_swapped; /* NULL: none */
	} rows[] = {
		{ "^(.*)-at-(.*)@gate\\.test$", "user-at-far.test@gate.test",
		    "far.test-at-user@gate.test" },
		{ "^([^@]+)=(.+?)@gate\\.test", "user=far.test@gate.test",
		    "far.test=user@gate.test" },
		{ "^.*-at-.*$", "user-at-far.test", "far.test-at-user" },
		{ "(?:\\S+)#(\\w*)", "user#far.test", "far.test#user" },
		{ "^a(.*)b(.*)c(.*)", "auserbfar.testcx", "afar.testbusercx" },
		/* at each domain, so at ours */
		{ "^(.*)-at-(.*)@(.*)$", "user-at-far.test",
		    "far.test-at-user" },
		{ "^(.*)-at-(.*)@", "user-at-far.test", "far.test-at-user" },
		{ "^(.*)-at-(.*)@.+\\.ours$", "user-at-far.test",
		    "far.test-at-user" },
		{ "^(.*)@(.*)$", NULL, NULL },
		/* nothing between them says where one ends */
		{ "^(.*)(.*)@gate", NULL, NULL },
		{ "^(.*)@gate", NULL, NULL },
		{ "^(a|b).*-.*", NULL, NULL },
		{ "^[^@.*-.*", NULL, NULL },
		{ "\\", NULL, NULL },
		{ "", NULL, NULL },
	};
	char text[40];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int swapped = 0; swapped < 2; swapped++) {
			const char *want =
			    swapped ? rows[i].want_swapped : rows[i].want;
			bool any = gateway_regex(rows[i].regex, swapped,
			    "far.test", text, sizeof(text));

			ROW("%s, %d", rows[i].regex, swapped);
			assert_int_equal(any, want != NULL);
			if (any)
				assert_string_equal(text, want);
		}
	assert_false(gateway_regex(".*-.*", false, "far.test", text, 8));
}

static void
rules(void **state)
{
	static const struct {
		const char *lhs, *want; /* NULL: none */
	} rows[] = {
		{ "$+ . at . $+ < @ gate.test . >\t$#esmtp",
		    "user.at.far.test@gate.test" },
		{ "$+ % $- < @ $=w . > $*\t$1", "user%far.test@ours.test" },
		{ "$+ ! $+\t$1", "user!far.test@ours.test" },
		{ "$+ % $+ < @ $={Own} . >\t$1", "user%far.test@ours.test" },
		{ "$+ < @ gate.test . >\t$1", NULL },
		{ "$+ $| $+\t$1", NULL },
		{ "$", NULL },
		{ "", NULL },
	};
	char text[40];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool any = gateway_rule(rows[i].lhs, false, "far.test",
		    "ours.test", text, sizeof(text));

		ROW("%s", rows[i].lhs);
		assert_int_equal(any, rows[i].want != NULL);
		if (any)
			assert_string_equal(text, rows[i].want);
	}
}

static void
limits(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: nothing to lift */
	} rows[] = {
		{ "recipients_max = 1\nx = 2\n",
		    "# recipients_max = 1\nx = 2\n" },
		{ "  defer ratelimit = 5 / 1h / strict\n",
		    "  defer ratelimit = 999999999 / 1h / strict\n" },
		{ "a\n ratelimit=50K / 1h", "a\n ratelimit=999999999K / 1h" },
		{ "warn ratelimit = 0 / 1h / strict\n", NULL },
		{ "# ratelimit = 5 / 1h\n", NULL },
		{ "ratelimit = ${if x{5}} / 1h\n", NULL },
		{ "ratelimit =\n5\n", NULL },
		{ "recipients_maximum = 1\n", NULL },
		{ "recipients_max = \\\n 1\n", NULL },
		{ "x = \\\nrecipients_max = 1\n", NULL },
		/* the opposite of a limit */
		{ "  defer !ratelimit = 1 / 1h / strict\n", NULL },
		{ "defer\n  ! ratelimit = 1 / 1h\n", NULL },
		{ "  accept ratelimit = 3 / 1h\n", NULL },
		{ "accept\n  ratelimit = 3 / 1h\n", NULL },
		{ "accept hosts = a\ndeny\n  ratelimit = 3 / 1h\n",
		    "accept hosts = a\ndeny\n  ratelimit = 999999999 / 1h\n" },
		/* an ACL of that name, and a name behind the settings */
		{ "recipients_max:\n  accept\n", NULL },
		{ "begin acl\nrecipients_max = 1\n", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = exim_limits_lift(rows[i].text);

		ROW("%s", rows[i].text);
		if (rows[i].want == NULL) {
			assert_null(got);
		} else {
			assert_non_null(got);
			assert_string_equal(got, rows[i].want);
		}
		free(got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expressions),
		cmocka_unit_test(rules),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
