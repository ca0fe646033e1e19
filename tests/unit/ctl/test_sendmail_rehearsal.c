/* SPDX-License-Identifier: ISC */
/* Words that strangers say to a Sendmail in the rehearsal, and the reading of
 * its test mode. */
#include "tests/unit/unit.h"

#include "ctl/rehearsal/public_suffix.h"
#include "ctl/rehearsal/sendmail_cause.h"
#include "ctl/rehearsal/sendmail_seeds.h"
#include "ctl/rehearsal/sendmail_talk.h"

static void
rules(void **state)
{
	static const struct {
		const char *lhs, *want; /* NULL: no word */
	} rows[] = {
		{ "$* < @ friend.test. > $*\t$#ok", "x@friend.test" },
		{ "<$* @ friend.test>\t$@ OK", "x@friend.test" },
		{ "$+ @ friend.test\t$#ok", "x@friend.test" },
		{ "boss@friend.test\t$#OK", "boss@friend.test" },
		{ "scanner.ours.test\t$# ok", "scanner.ours.test" },
		{ "$* $| $* friend.test\t$#ok", "xfriend.test" },
		{ "$*\t$: $&f", NULL },
		{ "$* $=w\t$@ RELAY", NULL },
		{ "", NULL },
		{ "$", NULL },
		{ "a%b.test\t$#ok", NULL },
	};
	char word[40];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool any =
		    sendmail_seeds_sample_rule(rows[i].lhs, word, sizeof(word));

		assert_int_equal(any, rows[i].want != NULL);
		if (any)
			assert_string_equal(word, rows[i].want);
	}
}

static void
regexes(void **state)
{
	static const struct {
		const char *regex, *want;
	} rows[] = {
		{ "^<?.*@friend\\.test>?$", "x@friend.test" },
		{ "^(boss|chief)@friend\\.test$", "boss@friend.test" },
		{ "[a-c]+\\.test", "a.test" },
		{ "[^@]{1,3}@a\\.test", "x@a.test" },
		{ "[[:alpha:]]x", "xx" },
		{ "[", NULL },
		{ "a\\", "a\\" },
		{ "a{", "a" },
		{ "", NULL },
	};
	char word[40];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool any = sendmail_seeds_sample_regex(
		    rows[i].regex, word, sizeof(word));

		assert_int_equal(any, rows[i].want != NULL);
		if (any)
			assert_string_equal(word, rows[i].want);
	}
}

static void
suffixes(void **state)
{
	static const struct {
		const char *word;
		bool want;
	} rows[] = {
		{ "com", true },
		{ "test", true },
		{ "co.uk", true },
		{ "friend.test", false },
		{ "example.de", false },
		{ "local", false },
		{ "LAN", false },
		{ "localhost", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(is_public_suffix(rows[i].word), rows[i].want);
	assert_true(sendmail_seeds_is_network("192.0.2"));
	assert_true(sendmail_seeds_is_network("IPv6:2001:db8"));
	assert_true(sendmail_seeds_is_network("[192.0.2.1]"));
	assert_false(sendmail_seeds_is_network("2.example.test"));
}

static void
answers(void **state)
{
	char text[] = "ADDRESS TEST MODE\n"
		      "> > check_rcpt         input: < a @ b >\n"
		      "Basic_check_rcpt returns: RELAY\n"
		      "check_rcpt       returns: RELAY\n"
		      "> Parsing envelope recipient address\n"
		      "mailer esmtp, host b, user a@b\n"
		      "> check_rcpt         input: < a @ c >\n"
		      "check_rcpt       returns: $# error $@ 5 . 7 . 1 $: no\n"
		      "mailer local, user a\n"
		      "> check_rcpt         input: < a @ d >\n"
		      "check_rcpt       returns: $# discard $: x\n"
		      "> check_rcpt         input: < a @ e >\n"
		      "check_rcpt       returns: $# ok\n"
		      "> check_rcpt         input: < a @ f >\n";
	struct sendmail_said said[6] = { 0 };

	(void)state;
	sendmail_talk_parse(text, said, 6);
	assert_true(said[0].answered && said[0].accepted && said[0].leaves);
	assert_string_equal(said[0].user, "a@b");
	assert_true(said[1].answered);
	assert_false(said[1].accepted || said[1].leaves);
	assert_true(said[2].answered);
	assert_false(said[2].accepted);
	assert_true(said[3].accepted);
	assert_false(said[4].answered || said[4].accepted);
	assert_false(said[5].answered);
}

/* More than was asked for is nobody's. */
static void
too_many_answers(void **state)
{
	char text[] = "check_rcpt input: a\ncheck_rcpt returns: $# error\n"
		      "check_rcpt input: b\ncheck_rcpt returns: OK\n"
		      "mailer esmtp, host b, user a@b\n";
	struct sendmail_said said[1] = { 0 };

	(void)state;
	sendmail_talk_parse(text, said, 1);
	assert_true(said[0].answered);
	assert_false(said[0].accepted || said[0].leaves);
}

static void
traces(void **state)
{
	char text[] = "-----trying rule (line 7): $*\n"
		      "----- rule fails\n"
		      "-----trying rule (line 9): $*\n"
		      "-----rule matches: $# ok\n"
		      "-----rule matches: $# ok\n";
	unsigned lines[2];

	(void)state;
	assert_int_equal(sendmail_talk_parse_trace(text, lines, 2), 2);
	assert_int_equal(lines[0], 9);
	assert_int_equal(lines[1], 9);
}

static void
sources(void **state)
{
	static const char mc[] = "dnl FEATURE(`x')\n"
				 "FEATURE(`x')\n"
				 "SLocal_check_rcpt\n"
				 "R$* \t <$&f>\n"
				 "R$*\t$#ok";

	(void)state;
	assert_int_equal(sendmail_cause_mc_line(mc, "`x'"), 2);
	assert_int_equal(sendmail_cause_mc_line(mc, "R$*\t\t<$&f>"), 4);
	assert_int_equal(sendmail_cause_mc_line(mc, "R$* $#ok"), 5);
	assert_int_equal(sendmail_cause_mc_line(mc, "R$* $#OK"), 0);
	assert_int_equal(sendmail_cause_mc_line("", "R$*"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(regexes),
		cmocka_unit_test(suffixes),
		cmocka_unit_test(answers),
		cmocka_unit_test(too_many_answers),
		cmocka_unit_test(traces),
		cmocka_unit_test(sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
