/* SPDX-License-Identifier: ISC */
/* The permit channel where several lists of Postfix ask about one RCPT, or
 * before there is one: who passes which list, and that a recipient is recorded
 * and charged once. */
#include "tests/daemon/lab.h"

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>

#define CLIENT "203.0.113.5"

/* An smtpd: each list has a connection of its own. */
enum list { L_CLIENT, L_HELO, L_SENDER, L_RECIPIENT, L_RELAY, LISTS };

static const char *const names[LISTS] = {
	"client",
	"helo",
	"sender",
	"recipient",
	"relay",
};
static int fds[LISTS];

static void
connect_all(void)
{
	for (int i = 0; i < LISTS; i++)
		fds[i] = policy_open();
}

static void
close_all(void)
{
	for (int i = 0; i < LISTS; i++)
		(void)close(fds[i]);
}

static const char *promise = "asked-at-data", *again = "";

/* The answer to a list about a recipient; more: further attributes. */
static const char *
told(enum list list, const char *state, const char *instance,
    const char *recipient, const char *more)
{
	char text[2000];
	int n = snprintf(text, sizeof(text),
	    "request=smtpd_access_policy\nprotocol_state=%s\n"
	    "client_address=" CLIENT "\nclient_port=4711\nhelo_name=h\n"
	    "sender=s@y.test\nrecipient=%s\ninstance=%s\n"
	    "policy_context=%s/%s%s\n%s\n",
	    state, recipient, instance, promise, names[list], again, more);

	return policy_ask(fds[list], text, n) + strlen("action=");
}

static const char *
rcpt_of(enum list list, const char *instance, const char *recipient)
{
	return told(list, "RCPT", instance, recipient, "");
}

#define ROWS "SELECT count(*) FROM decision WHERE channel = 'policy'"

static void
once(void **state)
{
	static const enum list order[] = { L_CLIENT, L_HELO, L_SENDER, L_RELAY,
		L_RECIPIENT };

	(void)state;
	login(CLIENT, 100000);
	connect_all();
	for (size_t i = 0; i < LENGTH(order); i++)
		assert_reply(rcpt_of(order[i], "1", "a@remote.test"), "OK");
	wait_int("audit.db", ROWS, 1);
	/* another recipient, and the first one again, are two more */
	for (size_t i = 1; i < LENGTH(order); i++)
		assert_reply(rcpt_of(order[i], "1", "b@remote.test"), "OK");
	for (size_t i = 0; i < LENGTH(order); i++)
		assert_reply(rcpt_of(order[i], "1", "a@remote.test"), "OK");
	assert_reply(told(L_RELAY, "DATA", "1", "", ""), "DUNNO");
	wait_int("audit.db", ROWS, 3);
	close_all();
}

/* Limits are asked once, too. */
static void
charged_once(void **state)
{
	(void)state;
	assert_int_equal(stop_daemon(SIGTERM), 0);
	write_config("}; limits: { client_recipients = \"2/1h\"; ", "");
	start_daemon();
	login(CLIENT, 100000);
	connect_all();
	for (int list = 0; list < LISTS; list++)
		assert_reply(
		    rcpt_of((enum list)list, "2", "a@remote.test"), "OK");
	for (int list = 0; list < LISTS; list++)
		assert_reply(
		    rcpt_of((enum list)list, "2", "b@remote.test"), "OK");
	assert_reply(rcpt_of(L_CLIENT, "2", "c@remote.test"), "450");
	close_all();
}

static void
strangers(void **state)
{
	(void)state;
	connect_all();
	/* the first list refuses; asked again it is another RCPT */
	assert_reply(rcpt_of(L_CLIENT, "3", "a@remote.test"), "550");
	assert_reply(rcpt_of(L_RELAY, "3", "a@remote.test"), "550");
	wait_int("audit.db", ROWS, 2);
	/* our own recipients are the MTA's business */
	for (int list = 0; list < LISTS; list++)
		assert_reply(
		    rcpt_of((enum list)list, "3", "a@lab.test"), "DUNNO");
	close_all();
}

/* A list before one that refuses: nobody is refused there, and nothing is
 * recorded or charged. */
static void
asked_later(void **state)
{
	(void)state;
	assert_int_equal(stop_daemon(SIGTERM), 0);
	write_config("}; limits: { client_recipients = \"1/1h\"; ", "");
	start_daemon();
	connect_all();
	promise = "asked-later";
	assert_reply(rcpt_of(L_HELO, "5", "a@remote.test"), "DUNNO");
	assert_reply(rcpt_of(L_SENDER, "5", "a@lab.test"), "DUNNO");
	promise = "asked-at-data";
	assert_reply(rcpt_of(L_RELAY, "5", "a@remote.test"), "550");
	wait_int("audit.db", ROWS, 1);
	login(CLIENT, 100000);
	promise = "asked-later";
	for (int i = 0; i < 3; i++)
		assert_reply(rcpt_of(L_HELO, "6", "a@remote.test"), "OK");
	assert_reply(rcpt_of(L_SENDER, "6", "a@lab.test"), "OK");
	promise = "asked-at-data";
	assert_reply(rcpt_of(L_RELAY, "6", "a@remote.test"), "OK");
	wait_int("audit.db", ROWS, 2);
	close_all();
}

/* A list that asks twice: whoever may relay passes at the first question, which
 * is recorded and charged; of others the second one decides. */
static void
asked_again(void **state)
{
	(void)state;
	assert_int_equal(stop_daemon(SIGTERM), 0);
	write_config("}; limits: { client_recipients = \"2/1h\"; ", "");
	start_daemon();
	connect_all();
	again = "/again";
	assert_reply(rcpt_of(L_RECIPIENT, "7", "a@remote.test"), "DUNNO");
	assert_reply(rcpt_of(L_RECIPIENT, "7", "a@lab.test"), "DUNNO");
	again = "";
	assert_reply(rcpt_of(L_RECIPIENT, "7", "a@lab.test"), "DUNNO");
	assert_reply(rcpt_of(L_RECIPIENT, "7", "a@remote.test"), "550");
	wait_int("audit.db", ROWS, 1);
	login(CLIENT, 100000);
	again = "/again";
	for (int i = 0; i < 2; i++) {
		assert_reply(rcpt_of(L_RECIPIENT, "8", "a@remote.test"), "OK");
		again = "";
		assert_reply(rcpt_of(L_RELAY, "8", "a@remote.test"), "OK");
		again = "/again";
	}
	wait_int("audit.db", ROWS, 3);
	assert_reply(rcpt_of(L_RECIPIENT, "8", "a@lab.test"), "OK");
	assert_reply(rcpt_of(L_RECIPIENT, "8", "c@remote.test"), "450");
	/* without the table nobody is known: no check between gets the word */
	char away[200];

	(void)snprintf(away, sizeof(away), "%s", path("away.db"));
	assert_int_equal(rename(path("logins.db"), away), 0);
	wait_until(strncmp(rcpt_of(L_RECIPIENT, "9", "d@remote.test"), "451",
		       3) == 0);
	assert_reply(rcpt_of(L_RECIPIENT, "9", "d@lab.test"), "DUNNO");
	again = "";
	close_all();
}

/* A client that may relay passes a list that refuses others to our own
 * recipients. */
static void
own_recipients(void **state)
{
	(void)state;
	login(CLIENT, 100000);
	connect_all();
	for (int list = 0; list < LISTS; list++)
		assert_reply(rcpt_of((enum list)list, "4", "a@lab.test"), "OK");
	/* and is asked about by a list without a name as ever */
	static const char text[] =
	    "request=smtpd_access_policy\nprotocol_state=RCPT\n"
	    "client_address=" CLIENT "\nsender=s@y.test\n"
	    "recipient=a@lab.test\ninstance=4\n\n";

	assert_reply(policy_ask(fds[0], text, sizeof(text) - 1) + 7, "DUNNO");
	wait_int("audit.db", "SELECT count(*) FROM decision", 0);
	close_all();
}

/* AUTH users meet what the admin's lists say of AUTH users. */
static void
auth(void **state)
{
	static const char *const want[LISTS] = { "DUNNO", "DUNNO", "DUNNO",
		"DUNNO", "OK" };
	const char *user = "sasl_method=PLAIN\nsasl_username=alice\n";

	(void)state;
	connect_all();
	for (int list = 0; list < LISTS; list++)
		assert_reply(
		    told((enum list)list, "RCPT", "5", "a@remote.test", user),
		    want[list]);
	wait_int("audit.db", ROWS " AND reason = 'authenticated'", 1);
	close_all();
}

static void
trusted(void **state)
{
	static const char *const want[LISTS] = { "DUNNO", "DUNNO", "DUNNO",
		"OK", "OK" };

	(void)state;
	assert_int_equal(stop_daemon(SIGTERM), 0);
	write_config("trusted_networks = [ \"203.0.113.0/24\" ];", "");
	start_daemon();
	connect_all();
	for (int list = 0; list < LISTS; list++)
		assert_reply(
		    rcpt_of((enum list)list, "6", "a@remote.test"), want[list]);
	close_all();
}

/* smtpd_delay_reject = no: nothing is recorded, for nothing is decided. */
static void
before_recipient(void **state)
{
	static const struct {
		const char *state;
		enum list list;
	} asks[] = { { "CONNECT", L_CLIENT }, { "EHLO", L_HELO },
		{ "HELO", L_HELO }, { "MAIL", L_SENDER } };

	(void)state;
	connect_all();
	for (size_t i = 0; i < LENGTH(asks); i++)
		assert_reply(
		    told(asks[i].list, asks[i].state, "", "", ""), "DUNNO");
	login(CLIENT, 100000);
	for (size_t i = 0; i < LENGTH(asks); i++)
		assert_reply(
		    told(asks[i].list, asks[i].state, "", "", ""), "OK");
	/* no other state, and no list without a name */
	assert_reply(told(L_CLIENT, "VRFY", "", "a@remote.test", ""), "DUNNO");
	assert_reply(told(L_CLIENT, "ETRN", "", "", ""), "DUNNO");
	static const char text[] =
	    "request=smtpd_access_policy\nprotocol_state=CONNECT\n"
	    "client_address=" CLIENT "\n\n";

	assert_reply(policy_ask(fds[0], text, sizeof(text) - 1) + 7, "DUNNO");
	wait_int("audit.db", "SELECT count(*) FROM decision", 0);
	close_all();
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(once),
		TEST(charged_once),
		TEST(strangers),
		TEST(asked_later),
		TEST(asked_again),
		TEST(own_recipients),
		TEST(auth),
		TEST(trusted),
		TEST(before_recipient),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
