/* SPDX-License-Identifier: ISC */
/* The permit channel where Postfix asks again at DATA: one wait for the disk a
 * message, and no message is relayed before its rows are there. */
#include "tests/daemon/lab.h"

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* Ask; returns what comes behind "action=". */
__attribute__((format(printf, 4, 5))) static const char *
asked(int fd, const char *state, const char *instance, const char *more, ...)
{
	char text[2000], extra[1000];
	va_list ap;

	va_start(ap, more);
	(void)vsnprintf(extra, sizeof(extra), more, ap);
	va_end(ap);
	int n = snprintf(text, sizeof(text),
	    "request=smtpd_access_policy\nprotocol_state=%s\n"
	    "client_address=203.0.113.5\nclient_port=4711\n"
	    "sender=s@y.test\ninstance=%s\n%s\n",
	    state, instance, extra);

	return policy_ask(fd, text, n) + strlen("action=");
}

#define PROMISE "policy_context=asked-at-data\n"

static void
permitted(int fd, const char *instance, const char *promise, int from, int to)
{
	for (int i = from; i < to; i++)
		assert_reply(asked(fd, "RCPT", instance,
				 "%srecipient=u%d@remote.test\n", promise, i),
		    "OK");
}

static int
rows_on_disk(void)
{
	return sql_int("audit.db",
	    "SELECT count(*) FROM decision WHERE channel = 'policy' AND "
	    "verdict = 'accept'");
}

/* Syncs since *from, which is brought up to now. The writer syncs once a
 * second by itself: *slack_r says how often that may have been. */
static int
syncs(int *from, time_t *since, int *slack_r)
{
	int now = health_number("audit_syncs"), n = now - *from;

	*slack_r = (int)(time(NULL) - *since) + 2;
	*from = now;
	*since = time(NULL);
	return n;
}

static void
one_wait(void **state)
{
	int fd = policy_open(), from = 0, slack;
	time_t since = 0;

	(void)state;
	login("203.0.113.5", 100000);
	(void)syncs(&from, &since, &slack);
	/* promised: once for 50 */
	permitted(fd, "1.1", PROMISE, 0, 50);
	assert_int_equal(rows_on_disk(), 50);
	assert_reply(
	    asked(fd, "DATA", "1.1", "queue_id=Q1\nrecipient=\n"), "DUNNO");
	int n = syncs(&from, &since, &slack);

	if (n < 1 || n > 1 + slack)
		fail_msg("%d syncs, and %d by itself at most", n, slack);
	/* not promised: each */
	permitted(fd, "1.2", "", 0, 50);
	n = syncs(&from, &since, &slack);
	assert_true(n >= 50);
	/* another context is no promise, and neither is no instance */
	permitted(fd, "1.3", "policy_context=x\n", 0, 20);
	permitted(fd, "", PROMISE, 0, 20);
	n = syncs(&from, &since, &slack);
	assert_true(n >= 40);
	(void)close(fd);
}

/* A promise that isn't kept counts for the next message of that smtpd; one
 * that is kept again counts. */
static void
broken_promise(void **state)
{
	int fd = policy_open(), other = policy_open(), from = 0, slack;
	time_t since = 0;

	(void)state;
	login("203.0.113.5", 100000);
	permitted(fd, "2.1", PROMISE, 0, 3);
	(void)syncs(&from, &since, &slack);
	permitted(fd, "2.2", PROMISE, 0, 50);
	assert_true(syncs(&from, &since, &slack) >= 50);
	/* asked by another connection, as Postfix does */
	assert_reply(
	    asked(other, "DATA", "2.2", "queue_id=Q2\nrecipient=\n"), "DUNNO");
	(void)syncs(&from, &since, &slack);
	permitted(fd, "2.3", PROMISE, 0, 50);
	int n = syncs(&from, &since, &slack);

	if (n > slack)
		fail_msg("%d syncs, and %d by itself at most", n, slack);
	for (int i = 0; i < 25; i++) {
		char instance[20];

		(void)snprintf(instance, sizeof(instance), "3.%d", i);
		permitted(fd, instance, PROMISE, 0, 1);
	}
	wait_logged("Postfix didn't ask at DATA about the last", 1);
	(void)close(fd);
	(void)close(other);
}

/* The milter, asked right after it, doesn't wait again; but for one recipient
 * that the permit channel didn't see it does. */
static void
milter_after_it(void **state)
{
	int fd = policy_open(), from = 0, slack;
	time_t since = 0;
	char to[64], instance[20], queue_id[20];

	(void)state;
	login("203.0.113.5", 100000);
	struct mclient *mc = mta("203.0.113.5");

	for (int m = 0; m < 40; m++) {
		int n = 1 + m % 5;
		bool one_more = m >= 20;

		if (m == 20) {
			int got = syncs(&from, &since, &slack);

			if (got > 20 + slack)
				fail_msg("%d syncs for 20 messages", got);
		} else if (m == 0) {
			(void)syncs(&from, &since, &slack);
		}
		(void)snprintf(instance, sizeof(instance), "4.%d", m);
		(void)snprintf(queue_id, sizeof(queue_id), "Q4%d", m);
		permitted(fd, instance, PROMISE, 0, n);
		mail(mc, "<s@y.test>");
		for (int i = 0; i < n + one_more; i++) {
			(void)snprintf(to, sizeof(to), "<u%d@remote.test>", i);
			assert_accepted(rcpt(mc, to, "smtp"));
		}
		assert_reply(asked(fd, "DATA", instance,
				 "queue_id=%s\nrecipient=\n", queue_id),
		    "DUNNO");
		assert_int_equal(data_as(mc, queue_id), SMFIR_CONTINUE);
	}
	assert_true(syncs(&from, &since, &slack) >= 40);
	/* all are written, with their queue id */
	wait_int("audit.db",
	    "SELECT count(*) FROM decision WHERE channel = 'milter' AND "
	    "queue_id LIKE 'Q4%'",
	    2 * 4 * (1 + 2 + 3 + 4 + 5) + 20);
	mclient_close(&mc);
	(void)close(fd);
}

/* One message a connection, and never a DATA: noticed all the same. */
static void
broken_by_many(void **state)
{
	int from = 0, slack;
	time_t since = 0;

	(void)state;
	login("203.0.113.5", 100000);
	for (int i = 0; i < 50; i++) {
		int fd = policy_open();
		char instance[20];

		(void)snprintf(instance, sizeof(instance), "7.%d", i);
		/* the first one may still be believed */
		if (i == 1)
			(void)syncs(&from, &since, &slack);
		permitted(fd, instance, PROMISE, 0, 1);
		(void)close(fd);
		wait_until(health_number("permit_connections") == 0);
	}
	assert_true(syncs(&from, &since, &slack) >= 49);
	wait_logged("Postfix didn't ask at DATA", 1);
	/* one that asks is believed, and so is the next one */
	for (int i = 0; i < 2; i++) {
		int fd = policy_open();
		char instance[20];

		(void)snprintf(instance, sizeof(instance), "8.%d", i);
		(void)syncs(&from, &since, &slack);
		permitted(fd, instance, PROMISE, 0, 50);
		int n = syncs(&from, &since, &slack);

		if (i == 1 && n > slack)
			fail_msg(
			    "%d syncs, and %d by itself at most", n, slack);
		assert_reply(
		    asked(fd, "DATA", instance, "queue_id=Q\nrecipient=\n"),
		    "DUNNO");
		(void)close(fd);
		wait_until(health_number("permit_connections") == 0);
	}
}

/* Rows that are lost between RCPT and DATA are told at DATA, as often as it is
 * asked for; another message isn't held up by it. */
static void
lost_in_between(void **state)
{
	int fd = policy_open();

	(void)state;
	login("203.0.113.5", 100000);
	permitted(fd, "5.1", PROMISE, 0, 3);
	assert_int_equal(truncate(path("audit.db"), 0), 0);
	assert_reply(
	    asked(fd, "DATA", "5.1", "queue_id=Q5\nrecipient=\n"), "451 4.3.0");
	wait_until(health_number("audit_good") == 1);
	assert_reply(
	    asked(fd, "DATA", "5.1", "queue_id=Q5\nrecipient=\n"), "451 4.3.0");
	permitted(fd, "5.2", PROMISE, 0, 3);
	assert_reply(
	    asked(fd, "DATA", "5.2", "queue_id=Q6\nrecipient=\n"), "DUNNO");
	assert_int_equal(rows_on_disk(), 3);
	/* a message to ourselves only was never permitted anything */
	assert_reply(
	    asked(fd, "DATA", "5.3", "queue_id=Q7\nrecipient=\n"), "DUNNO");
	(void)close(fd);
}

/* Killed after the permit: the row is there, and at DATA there is nothing to
 * wait for. */
static void
killed(void **state)
{
	char reply[300];
	int fd;

	(void)state;
	login("203.0.113.5", 100000);
	for (int i = 0; i < 10; i++) {
		fd = policy_open();
		permitted(fd, "6.1", PROMISE, i, i + 1);
		assert_true(WIFSIGNALED(stop_daemon(SIGKILL)));
		assert_int_equal(rows_on_disk(), i + 1);
		(void)close(fd);
		start_daemon();
		const char data[] = "request=smtpd_access_policy\n"
				    "protocol_state=DATA\ninstance=6.1\n\n";

		ask("policy.sock", data, strlen(data), reply, sizeof(reply));
		assert_string_equal(reply, "action=DUNNO\n\n");
	}
}

/* Killed after the permit, and the file is gone before the next start: what
 * began before can't be known, what begins then can. Own mail of a message that
 * began before gets a temporary failure, too. */
static void
killed_and_lost(void **state)
{
	static const char *const parts[] = { "audit.db", "audit.db-wal",
		"audit.db-shm" };
	time_t began = time(NULL);
	char old[60], new[60];
	int fd = policy_open();

	(void)state;
	(void)snprintf(old, sizeof(old), "6a.%lx.5.0", (unsigned long)began);
	login("203.0.113.5", 100000);
	permitted(fd, old, PROMISE, 0, 3);
	/* a message of the next second is another one */
	wait_until(time(NULL) > began);
	assert_true(WIFSIGNALED(stop_daemon(SIGKILL)));
	(void)close(fd);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		(void)unlink(path(parts[i]));
	for (int start = 0; start < 2; start++) {
		start_daemon();
		time_t started = time(NULL);

		fd = policy_open();
		assert_reply(
		    asked(fd, "DATA", old, "queue_id=Q8\nrecipient=\n"),
		    "451 4.3.0");
		wait_logged("began before audit.database was lost", start + 1);
		wait_until(time(NULL) > started);
		(void)snprintf(new, sizeof(new), "6b.%lx.%x.0",
		    (unsigned long)time(NULL), start);
		assert_reply(
		    asked(fd, "DATA", new, "queue_id=Q9\nrecipient=\n"),
		    "DUNNO");
		permitted(fd, new, PROMISE, 0, 3);
		assert_reply(
		    asked(fd, "DATA", new, "queue_id=Q9\nrecipient=\n"),
		    "DUNNO");
		(void)close(fd);
		/* a restart changes nothing: the file's first row tells */
		(void)stop_daemon(SIGTERM);
	}
	start_daemon();
}

static int
given_up_recipients(void)
{
	static const char name[] = "popgate_recipients_aborted_total ";
	static char text[65536];
	const char *at = strstr(
	    http_get("metrics.sock", "/metrics", text, sizeof(text)), name);

	assert_non_null(at);
	return atoi(at + strlen(name));
}

/* The milter knows that a message was given up: no promise is broken. */
static void
given_up(void **state)
{
	int fd = policy_open(), from = 0, slack;
	time_t since = 0;
	struct mclient *mc = mta_from("Postfix 3.7", "203.0.113.5", 4711);
	char instance[20];

	(void)state;
	login("203.0.113.5", 100000);
	(void)syncs(&from, &since, &slack);
	for (int i = 0; i < 40; i++) {
		(void)snprintf(instance, sizeof(instance), "8.%d", i);
		permitted(fd, instance, PROMISE, 0, 1);
		mail(mc, "<s@y.test>");
		assert_accepted(rcpt(mc, "<u0@remote.test>", "smtp"));
		assert_int_equal(mclient_abort(mc), 0);
		assert_int_equal(mclient_flush(mc), 0);
		/* the milter doesn't answer that */
		wait_until(given_up_recipients() > i);
	}
	int n = syncs(&from, &since, &slack);

	if (n > slack)
		fail_msg("%d syncs, and %d by itself at most", n, slack);
	mclient_close(&mc);
	(void)close(fd);
}

/* The action for a recipient of client, asked about on the connection fd. */
static const char *
asked_about(int fd, const char *client, const char *auth)
{
	char text[1000];
	static int n;
	int len = snprintf(text, sizeof(text),
	    "request=smtpd_access_policy\nprotocol_state=RCPT\n"
	    "client_address=%s\nsender=s@y.test\ninstance=9.1\n%s"
	    "recipient=r%d@remote.test\n\n",
	    client, auth, n++);

	return policy_ask(fd, text, len) + strlen("action=");
}

/* The login table's answer about the last client is remembered for that client
 * and AUTH user only, whatever the message is called, and no longer than the
 * table stays as it is. */
static void
remembered(void **state)
{
	static const char auth[] = "sasl_method=PLAIN\nsasl_username=carol\n";
	int fd = policy_open();

	(void)state;
	login("203.0.113.5", 100000);
	assert_reply(asked_about(fd, "203.0.113.5", ""), "OK");
	assert_reply(asked_about(fd, "203.0.113.5", ""), "OK");
	assert_reply(asked_about(fd, "203.0.113.6", ""), "550");
	assert_reply(asked_about(fd, "203.0.113.5", ""), "OK");
	assert_reply(asked_about(fd, "203.0.113.6", auth), "OK");
	assert_reply(asked_about(fd, "203.0.113.6", ""), "550");
	sql("logins.db",
	    "INSERT INTO deny VALUES ('carol', 'user', 1, "
	    "unixepoch() + 1000, '')");
	assert_reply(asked_about(fd, "203.0.113.6", auth), "550");
	assert_reply(asked_about(fd, "203.0.113.5", ""), "OK");
	sql("logins.db", "DELETE FROM login");
	assert_reply(asked_about(fd, "203.0.113.5", ""), "550");
	login("203.0.113.5", 100000);
	assert_reply(asked_about(fd, "203.0.113.5", ""), "OK");
	(void)close(fd);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_wait),
		TEST(broken_promise),
		TEST(broken_by_many),
		TEST(milter_after_it),
		TEST(lost_in_between),
		TEST(killed),
		TEST(killed_and_lost),
		TEST(given_up),
		TEST(remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
