/* SPDX-License-Identifier: ISC */
/* What the rehearsal reads out of Postfix's verbose log, and what it takes from
 * a configuration to say. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/strings.h"
#include "ctl/rehearsal/postfix_seeds.h"
#include "ctl/rehearsal/postfix_trace.h"

#define S "Nov 30 06:48:03 mx postfix/smtpd[146]: "
#define BEGIN S ">>> START Recipient address RESTRICTIONS <<<\n"
#define END S ">>> END Recipient address RESTRICTIONS <<<\n"
#define RELAY \
	S "resolve_clnt: `' -> `u@x.test' -> transp=`relay' flags= class=relay\n"
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

static void
test_seeds(void **state)
{
	static const struct {
		const char *text, *want_sender, *want_recipient, *want_client,
		    *want_not_client, *want_name;
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
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct postfix_seeds s;
		bool good;

		postfix_seeds_begin(&s);
		postfix_seeds_take(&s, rows[i].text, strlen(rows[i].text));
		postfix_seeds_end(&s);
		good = (rows[i].want_sender == NULL ||
			   string_list_has(&s.senders, rows[i].want_sender)) &&
		    (rows[i].want_recipient == NULL ||
			string_list_has(
			    &s.recipients, rows[i].want_recipient)) &&
		    (rows[i].want_client == NULL ||
			string_list_has(&s.clients, rows[i].want_client)) &&
		    (rows[i].want_name == NULL ||
			string_list_has(&s.names, rows[i].want_name)) &&
		    (rows[i].want_not_client == NULL ||
			!string_list_has(&s.clients, rows[i].want_not_client));
		if (!good)
			fail_msg("%s", rows[i].text);
		postfix_seeds_release(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cause),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_seeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
