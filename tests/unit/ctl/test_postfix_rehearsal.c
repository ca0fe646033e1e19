/* SPDX-License-Identifier: ISC */
/* Reading of Postfix's verbose log, and the words that the rehearsal takes from
 * a configuration. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/strings.h"
#include "ctl/rehearsal/entry_sorts.h"
#include "ctl/rehearsal/postfix_seeds.h"
#include "ctl/rehearsal/postfix_trace.h"

#define S "Nov 30 06:48:03 mx postfix/smtpd[146]: "
#define BEGIN S ">>> START Recipient address RESTRICTIONS <<<\n"
#define END S ">>> END Recipient address RESTRICTIONS <<<\n"
#define RELAY \
	S "resolve_clnt: `' -> `u@x.test' -> transp=`relay' flags= class=relay\n"
#define EVAL(name) S "generic_checks: name=" name "\n"
#define CHECK(name, status) \
	S "generic_checks: name=" name " status=" status "\n"

static void
test_cause(void **state)
{
	static const struct {
		const char *name, *log;
		const char *want_restriction, *want_table, *want_value,
		    *want_subject, *want_pattern, *want_class;
	} rows[] = {
		{ .name = "a table lets a sender pass",
		    .log = RELAY BEGIN CHECK("permit_mynetworks", "0") S
		    "check_table_result: hash:/etc/wl OK boss@friend.test\n" CHECK(
			"check_sender_access", "1") END,
		    .want_restriction = "check_sender_access",
		    .want_table = "hash:/etc/wl",
		    .want_value = "OK",
		    .want_subject = "boss@friend.test",
		    .want_class = "relay" },
		{ .name = "a value of several words",
		    .log = RELAY BEGIN S
		    "check_table_result: cidr:/etc/c permit, permit 203.0.113.5\n" CHECK(
			"check_client_access", "1") END,
		    .want_restriction = "check_client_access",
		    .want_table = "cidr:/etc/c",
		    .want_value = "permit, permit",
		    .want_subject = "203.0.113.5",
		    .want_class = "relay" },
		{ .name = "a table that says nothing isn't the cause",
		    .log = RELAY BEGIN S
		    "check_table_result: hash:/etc/wl DUNNO x@y.test\n" CHECK(
			"check_sender_access", "0")
			CHECK("permit_naked_ip_address", "1") END,
		    .want_restriction = "permit_naked_ip_address",
		    .want_class = "relay" },
		{ .name = "which of mynetworks",
		    .log = RELAY BEGIN S
		    "match_hostaddr: mynetworks: 203.0.113.5 ~? 127.0.0.0/8\n" S
		    "match_hostaddr: mynetworks: 203.0.113.5 ~? 0.0.0.0/0\n" CHECK(
			"permit_mynetworks", "1") END,
		    .want_restriction = "permit_mynetworks",
		    .want_pattern = "0.0.0.0/0",
		    .want_class = "relay" },
		{ .name = "lists that aren't about recipients don't count",
		    .log = S ">>> START Client host RESTRICTIONS <<<\n" CHECK(
			"permit", "1") S
		    ">>> END Client host RESTRICTIONS <<<\n" RELAY BEGIN CHECK(
			"reject_unauth_destination", "0") END,
		    .want_class = "relay" },
		{ .name = "a table's value of several restrictions",
		    .log = RELAY BEGIN EVAL("check_sender_access") S
		    "check_table_result: texthash:/s reject_non_fqdn_sender, permit friend.test\n" S
		    ">>> START Sender address RESTRICTIONS <<<\n" EVAL(
			"reject_non_fqdn_sender")
			CHECK("reject_non_fqdn_sender", "0") EVAL("permit")
			    CHECK("permit", "1") S
		    ">>> END Sender address RESTRICTIONS <<<\n" CHECK(
			"check_sender_access", "1") END,
		    .want_restriction = "check_sender_access",
		    .want_table = "texthash:/s",
		    .want_value = "reject_non_fqdn_sender, permit",
		    .want_subject = "friend.test",
		    .want_class = "relay" },
		{ .name = "a class, and a table in it",
		    .log =
			RELAY BEGIN EVAL("friends") EVAL("check_helo_access") S
		    "check_table_result: hash:/h OK mail.friend.test\n" CHECK(
			"check_helo_access", "1") CHECK("friends", "1") END,
		    .want_restriction = "check_helo_access",
		    .want_table = "hash:/h",
		    .want_value = "OK",
		    .want_subject = "mail.friend.test",
		    .want_class = "relay" },
		{ .name = "the sender is resolved before the recipient",
		    .log = S
		    "resolve_clnt: `' -> `a@ours.test' -> transp=`local' flags= class=local\n" RELAY
			BEGIN EVAL("permit") CHECK("permit", "1") END S
		    "resolve_clnt: `' -> `a@ours.test' -> transp=`local' flags= class=local\n",
		    .want_restriction = "permit",
		    .want_class = "relay" },
		{ .name = "other programs' lines",
		    .log =
			"x postfix/qmgr[1]: generic_checks: name=x status=1\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *want[] = { rows[i].want_restriction,
			rows[i].want_table, rows[i].want_value,
			rows[i].want_subject, rows[i].want_pattern,
			rows[i].want_class };
		struct postfix_cause got;

		postfix_trace_read(rows[i].log, &got);
		const char *is[] = { got.restriction, got.table, got.value,
			got.subject, got.pattern, got.class };

		for (size_t k = 0; k < sizeof(is) / sizeof(*is); k++)
			if (strcmp(is[k], want[k] == NULL ? "" : want[k]) != 0)
				fail_msg("%s: got '%s', want '%s'",
				    rows[i].name, is[k],
				    want[k] == NULL ? "" : want[k]);
	}
}

/* The log comes after the answer, in pieces. */
static void
test_whole(void **state)
{
	static const char log[] = S
	    "disconnect from another\n" RELAY BEGIN EVAL("check_sender_access")
		S
	    "check_table_result: texthash:/s reject_x, permit a.test\n" EVAL(
		"permit") CHECK("permit", "1") CHECK("check_sender_access", "1")
		END S "disconnect from host[203.0.113.5] quit=1\n";
	char part[sizeof(log)];
	struct postfix_cause got;

	(void)state;
	for (size_t n = 0; n < sizeof(log); n++) {
		(void)snprintf(part, sizeof(part), "%.*s", (int)n, log);
		postfix_trace_read(part, &got);
		if (got.whole && *got.class != '\0' &&
		    strstr(part, "RESTRICTIONS") != NULL)
			assert_string_equal(got.table, "texthash:/s");
	}
	assert_true(got.whole);
}

static void
test_leaves(void **state)
{
	const char *log =
	    "x postfix/smtp[1]: A: to=<u@victim.test>, orig_to=<u=victim@ours.test>, relay=none, status=undeliverable (x)\n"
	    "x postfix/qmgr[1]: A: from=<>, size=1\n"
	    "x postfix/virtual[1]: A: to=<u@ours.test>, relay=virtual, status=deliverable (x)\n";
	char to[POSTFIX_TRACE_WORD], from[POSTFIX_TRACE_WORD];
	bool leaves;

	(void)state;
	assert_true(postfix_trace_next(&log, to, from, &leaves));
	assert_string_equal(to, "u@victim.test");
	assert_string_equal(from, "u=victim@ours.test");
	assert_true(leaves);
	assert_true(postfix_trace_next(&log, to, from, &leaves));
	assert_string_equal(from, "u@ours.test");
	assert_false(leaves);
	assert_false(postfix_trace_next(&log, to, from, &leaves));
}

/* More words than there is room for. */
#define TEN(a) a "a " a "b " a "c " a "d " a "e " a "f " a "g " a "h " a "i "
#define WORDS                                                                 \
	TEN("ma")                                                             \
	TEN("mb")                                                             \
	TEN("mc")                                                             \
	TEN("md")                                                             \
	TEN("me")                                                             \
	TEN("mf")                                                             \
	TEN("mg") TEN("na") TEN("nb") TEN("nc") TEN("nd") TEN("ne") TEN("nf") \
	    TEN("ng") TEN("oa") TEN("ob") TEN("oc") TEN("od") TEN("oe")       \
		TEN("of") TEN("og")

static void
test_seeds(void **state)
{
	static const struct {
		const char *text, *want_sender, *want_recipient, *want_client,
		    *want_not_client, *want_name, *want_not_sender, *want_helo;
	} rows[] = {
		{ .text = "friend.test OK",
		    .want_sender = "user@friend.test",
		    .want_recipient = "<user@friend.test>" },
		{ .text = "/@friend\\.test$/ OK",
		    .want_sender = "user@friend.test" },
		{ .text = "/ours\\.test$/ OK",
		    .want_recipient = "<user@" POSTFIX_VICTIM "-ours.test>" },
		{ .text = "if /^bounce@/",
		    .want_sender = "bounce@popgate-stranger.com" },
		{ .text = "if /@friend\\.test$/\n/^boss/ OK\nendif",
		    .want_sender = "boss@friend.test" },
		{ .text = "if /^boss/\nendif\n/@friend\\.test$/ OK",
		    .want_not_sender = "boss@friend.test" },
		{ .text = "if !/^boss/\n/@friend\\.test$/ OK\nendif",
		    .want_sender = "user@friend.test",
		    .want_not_sender = "boss@friend.test" },
		{ .text = "[192.0.2.7] OK", .want_helo = "[192.0.2.7]" },
		{ .text = "2001:db8::7 OK", .want_helo = "[IPv6:2001:db8::7]" },
		{ .text = "test RELAY",
		    .want_recipient = "<user@" POSTFIX_VICTIM ".test>",
		    .want_name = "host77.popgate-stranger.test" },
		{ .text = "128.0.0.0/1 OK", .want_client = "128.0.0.9" },
		{ .text = "203.0.113.0/24 OK",
		    .want_client = "198.51.100.7",
		    .want_not_client = "203.0.113.50" },
		{ .text = "198.51 OK",
		    .want_client = "203.0.113.50",
		    .want_not_client = "198.51.100.7" },
		{ .text = "inline:{friend.test=OK}",
		    .want_sender = "user@friend.test" },
		/* no client comes from there: Linux takes 127.0.0.1 instead */
		{ .text = "224.0.0.0/3 OK", .want_not_client = "224.0.0.9" },
		/* what is surely meant comes before words of a comment */
		{ .text = WORDS "\nfriend.test OK",
		    .want_sender = "user@friend.test" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct postfix_seeds s;
		bool good;

		postfix_seeds_begin(&s, false);
		postfix_seeds_take(&s, rows[i].text, strlen(rows[i].text));
		postfix_seeds_end(&s);
		good = (rows[i].want_sender == NULL ||
			   string_list_has(&s.senders, rows[i].want_sender)) &&
		    (rows[i].want_recipient == NULL ||
			string_list_has(
			    &s.recipients, rows[i].want_recipient)) &&
		    (rows[i].want_client == NULL ||
			string_list_has(&s.clients, rows[i].want_client)) &&
		    (rows[i].want_not_sender == NULL ||
			!string_list_has(
			    &s.senders, rows[i].want_not_sender)) &&
		    (rows[i].want_helo == NULL ||
			string_list_has(&s.helos, rows[i].want_helo)) &&
		    (rows[i].want_name == NULL ||
			string_list_has(&s.names, rows[i].want_name)) &&
		    (rows[i].want_not_client == NULL ||
			!string_list_has(&s.clients, rows[i].want_not_client));
		if (!good)
			fail_msg("%s", rows[i].text);
		postfix_seeds_release(&s);
	}
}

/* A hundred thousand entries, of which one matters. */
static void
test_sorts(void **state)
{
	static const struct {
		const char *before, *behind, *line;
	} rows[] = {
		{ "user", "@spam.test REJECT", "user@friend.test OK" },
		{ "d", ".example REJECT no spam", "d77.example.org OK" },
		{ "d", ".example x", "test x" },
		{ "d", ".example x", ".test x" },
		{ "d", ".example x", "info@ x" },
		{ "d", ".example x", "@other.example x" },
		{ "u", "@ours.test u@a.example", "u@ours.test local" },
		{ "d", ".example 1701234567", "d7.example RELAY" },
		{ "d", ".example: x", "*.example: x" },
		{ "/^d", "$/ REJECT", "/a b$/ OK" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (int thorough = 0; thorough < 2; thorough++) {
			struct entry_sorts sorts = { .n = 0 };
			unsigned taken = 0;
			char line[80];

			for (int k = 0; k < 100000; k++) {
				(void)snprintf(line, sizeof(line), "%s%d%s",
				    rows[i].before, k, rows[i].behind);
				taken +=
				    entry_sorts_take(&sorts, line, thorough);
			}
			if (taken > 64 || (thorough == 0 && taken > 8) ||
			    taken == 0 ||
			    !entry_sorts_take(&sorts, rows[i].line, thorough))
				fail_msg("%s: %u", rows[i].line, taken);
		}
}

/* Networks say who is no stranger: none is left out. */
static void
test_sorts_networks(void **state)
{
	struct entry_sorts sorts = { .n = 0 };
	char line[80];

	(void)state;
	for (int k = 0; k < 1000; k++) {
		(void)snprintf(
		    line, sizeof(line), "10.%d.%d.0/24 OK", k / 250, k % 250);
		assert_true(entry_sorts_take(&sorts, line, false));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cause),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_seeds),
		cmocka_unit_test(test_sorts),
		cmocka_unit_test(test_sorts_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
