/* SPDX-License-Identifier: ISC */
/* kill -9 at random instants, under load: what an MTA was told to relay is in
 * the audit. $POPGATE_KILLS says how often (25). */
#include "tests/daemon/lab.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MTAS = 4, POLICIES = 2, RECIPIENTS = 3, TOLD_MAX = 200000 };

static atomic_uint next_number; /* of recipients */
static atomic_bool told[TOLD_MAX]; /* permitted: its row must be there */
static bool seen[TOLD_MAX];
static atomic_uint messages, permits;
static sqlite3_int64 last_id;

static int
expect(struct mclient *mc, char code)
{
	struct mclient_reply r;

	return mclient_reply(mc, &r) == 0 && r.code == code ? 0 : -1;
}

/* One message; -1 when the daemon is gone. */
static int
relay(struct mclient *mc)
{
	unsigned number[RECIPIENTS];
	char to[64];

	if (mclient_mail(mc, "<s@y.test>") == -1 ||
	    expect(mc, SMFIR_CONTINUE) == -1)
		return -1;
	for (int i = 0; i < RECIPIENTS; i++) {
		number[i] = atomic_fetch_add(&next_number, 1);
		(void)snprintf(to, sizeof(to), "<r%u@remote.test>", number[i]);
		if (mclient_rcpt(mc, to) == -1 ||
		    expect(mc, SMFIR_CONTINUE) == -1)
			return -1;
	}
	if (mclient_data(mc) == -1 || expect(mc, SMFIR_CONTINUE) == -1)
		return -1;
	for (int i = 0; i < RECIPIENTS; i++)
		if (number[i] < TOLD_MAX)
			atomic_store(&told[number[i]], true);
	atomic_fetch_add(&messages, 1);
	return mclient_eom(mc) == -1 ? -1 : expect(mc, SMFIR_CONTINUE);
}

static void *
mta_thread(void *arg)
{
	struct mclient *mc = mclient_open(sock, 60000);

	(void)arg;
	if (mc == NULL)
		return NULL;
	if (greets(mc, "203.0.113.5"))
		while (relay(mc) == 0)
			continue;
	mclient_close(&mc);
	return NULL;
}

static void *
policy_thread(void *arg)
{
	int fd = connect_to("policy.sock", 0);
	char text[300], reply[600];

	if (fd == -1)
		return NULL;
	for (;;) {
		unsigned number = atomic_fetch_add(&next_number, 1);
		int n = snprintf(text, sizeof(text),
		    "request="
		    "smtpd_access_policy\nprotocol_state=RCPT\n"
		    "client_address=203.0.113.5\nsender=s@y.test\n"
		    "%srecipient=<r%u@remote.test>\n\n",
		    arg != NULL ? "instance=1\npolicy_context=asked-at-data\n"
				: "",
		    number);

		if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n ||
		    recv(fd, reply, sizeof(reply), 0) <= 0)
			break;
		if (strncmp(reply, "action=OK", 9) == 0 && number < TOLD_MAX) {
			atomic_store(&told[number], true);
			atomic_fetch_add(&permits, 1);
		}
	}
	(void)close(fd);
	return NULL;
}

/* Read the rows that were written since the last time. */
static void
read_rows(void)
{
	sqlite3_stmt *stmt;
	sqlite3 *h;

	assert_int_equal(sqlite3_open(path("audit.db"), &h), SQLITE_OK);
	(void)sqlite3_busy_timeout(h, 5000);
	assert_int_equal(
	    sqlite3_prepare_v2(h,
		"SELECT id, substr(recipient, "
		"3) FROM channel_decision WHERE id > ?1 AND verdict = 'accept'",
		-1, &stmt, NULL),
	    SQLITE_OK);
	(void)sqlite3_bind_int64(stmt, 1, last_id);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		unsigned long n = strtoul(
		    (const char *)sqlite3_column_text(stmt, 1), NULL, 10);

		last_id = sqlite3_column_int64(stmt, 0);
		if (n < TOLD_MAX)
			seen[n] = true;
	}
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(h);
}

static void
kills(void **state)
{
	const char *wanted = getenv("POPGATE_KILLS");
	int rounds = wanted == NULL ? 25 : atoi(wanted);
	unsigned seed = (unsigned)getpid(), checked = 0, busy = 0;
	pthread_t thread[MTAS + POLICIES];

	(void)state;
	assert_true(rounds > 0);
	printf("seed %u\n", seed);
	login("203.0.113.5", 100000);
	for (int round = 0; round < rounds; round++) {
		unsigned before = atomic_load(&messages);

		for (int i = 0; i < MTAS + POLICIES; i++)
			assert_int_equal(
			    pthread_create(&thread[i], NULL,
				i < MTAS ? mta_thread : policy_thread,
				i % 2 == 0 ? NULL : &thread[i]),
			    0);
		/* a third of the kills comes at any time, the others when the
		 * load is one */
		if (round % 3 != 0) {
			wait_until(atomic_load(&messages) > before + 1);
			wait_until(atomic_load(&permits) > 0);
		}
		(void)usleep((useconds_t)(rand_r(&seed) % 60000));
		assert_true(WIFSIGNALED(stop_daemon(SIGKILL)));
		for (int i = 0; i < MTAS + POLICIES; i++)
			(void)pthread_join(thread[i], NULL);
		busy += atomic_load(&messages) > before;
		/* as the next start, or an admin, would find it */
		if (round % 2 == 0)
			read_rows();
		start_daemon();
		read_rows();
		unsigned end = atomic_load(&next_number);

		for (; checked < end && checked < TOLD_MAX; checked++)
			if (atomic_load(&told[checked]) && !seen[checked])
				fail_msg("round %d: <r%u@remote.test> was "
					 "permitted, and has no row",
				    round, checked);
	}
	printf("%d kills: %u messages relayed, %u permits, %u rounds cut "
	       "short under load\n",
	    rounds, atomic_load(&messages), atomic_load(&permits), busy);
	assert_int_equal(
	    sql_int("audit.db",
		"SELECT count(*) FROM "
		"pragma_integrity_check WHERE integrity_check <> 'ok'"),
	    0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kills, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
