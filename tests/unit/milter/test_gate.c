/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <sqlite3.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "milter/gate.h"

static char dir[64], conf[100], logins[100], audit[100];
static struct gate_config *gc;
static struct store *table; /* the collector's side */

static struct addr
addr(const char *text)
{
	struct addr a;

	assert_true(addr_parse_loose(text, &a));
	return a;
}

static void
login(const char *client)
{
	static const struct store_evidence ev = {
		.source = "test", .line = "line", .line_len = 4
	};
	int64_t now = clock_now();
	struct login l = { .at = now,
		.service = "imap",
		.server = "dovecot",
		.user = "alice" };
	struct network net;
	struct err err;

	assert_true(network_parse(client, &net));
	l.client = net.base;
	assert_int_equal(store_begin(table, &err), 0);
	assert_int_equal(store_login(table, &l, &net, now + 600, &ev, &err), 0);
	assert_int_equal(store_commit(table, &err), 0);
}

static struct audit_pair pair;

/* A question to the gate about a recipient from this client. */
static struct gate_request
request(const char *client, const char *recipient)
{
	return (struct gate_request){ .q = { .client = addr(client),
					  .sender = "a@example.org",
					  .recipient = recipient },
		.session = "s",
		.pair = &pair,
		.mta = "m",
		.channel = CHANNEL_MILTER };
}

static enum reason
decided(const char *client, const char *recipient, struct gate_memo *memo)
{
	struct gate_request req = request(client, recipient);
	struct decide_answer answer;

	req.memo = memo;
	gate_decide(gc, &req, &answer);
	return answer.decision.reason;
}

static int64_t
rows_recorded(void)
{
	sqlite3_stmt *stmt;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(audit, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM decision",
			     -1, &stmt, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(stmt, 0);

	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return n;
}

static int
start(void **state)
{
	struct err err;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_memory_dir());
	(void)snprintf(conf, sizeof(conf), "%s/popgate.conf", dir);
	(void)snprintf(logins, sizeof(logins), "%s/logins.db", dir);
	(void)snprintf(audit, sizeof(audit), "%s/audit.db", dir);
	FILE *out = fopen(conf, "w");

	assert_non_null(out);
	(void)fprintf(out,
	    "logins: { database = \"%s\"; };\naudit: { database = \"%s\"; };\n"
	    "milter: { listen = \"unix:%s/milter.sock\"; };\n"
	    "relay: { local_domains = [ \"lab.test\" ]; };\n"
	    "limits: { client_recipients = \"20/1h\"; };\n",
	    logins, audit, dir);
	assert_int_equal(fclose(out), 0);
	if (store_open(logins, STORE_WRITE, &table, &err) == -1 ||
	    gate_config_load(conf, &gc, &err) == -1 ||
	    gate_start(gc, NULL, NULL, &err) == -1)
		fail_msg("%s", err.text);
	return 0;
}

static int
stop(void **state)
{
	static const char *const names[] = { "popgate.conf", "logins.db",
		"logins.db-wal", "logins.db-shm", "audit.db", "audit.db-wal",
		"audit.db-shm" };
	char name[200];

	(void)state;
	store_close(&table);
	for (size_t i = 0; i < LENGTH(names); i++) {
		(void)snprintf(name, sizeof(name), "%s/%s", dir, names[i]);
		(void)unlink(name);
	}
	return rmdir(dir);
}

static void
who_may_relay(void **state)
{
	(void)state;
	login("198.51.100.91");
	assert_int_equal(decided("198.51.100.91", "b@example.net", NULL),
	    REASON_RECENT_LOGIN);
	assert_int_not_equal(decided("198.51.100.92", "b@example.net", NULL),
	    REASON_RECENT_LOGIN);
	assert_int_equal(decided("198.51.100.92", "b@lab.test", NULL),
	    REASON_LOCAL_RECIPIENT);
}

/* An admin's question gets the same answer, and leaves no trace. */
static void
would(void **state)
{
	struct gate_request req = request("198.51.100.95", "b@example.net");
	struct gate_request ours = request("198.51.100.95", "b@lab.test");
	struct decide_answer answer;
	int64_t before = rows_recorded();

	(void)state;
	gate_would(gc, &req, &answer);
	assert_int_not_equal(answer.decision.verdict, VERDICT_ACCEPT);
	login("198.51.100.95");
	for (int i = 0; i < 25; i++) { /* the limit is 20 */
		gate_would(gc, &req, &answer);
		assert_int_equal(answer.decision.reason, REASON_RECENT_LOGIN);
	}
	for (int i = 0; i < 20; i++)
		assert_int_equal(
		    decided("198.51.100.95", "b@example.net", NULL),
		    REASON_RECENT_LOGIN);
	gate_would(gc, &req, &answer);
	assert_int_equal(answer.decision.reason, REASON_RATE_LIMITED);
	assert_int_equal(decided("198.51.100.95", "b@example.net", NULL),
	    REASON_RATE_LIMITED);
	gate_would(gc, &ours, &answer);
	assert_int_equal(answer.decision.reason, REASON_LOCAL_RECIPIENT);
	assert_int_equal(rows_recorded(), before);
}

/* An address of this machine's own proves nothing. */
static void
own_address(void **state)
{
	(void)state;
	login("127.0.0.1");
	assert_int_not_equal(
	    decided("127.0.0.1", "b@example.net", NULL), REASON_RECENT_LOGIN);
}

/* The memory of a session's client is never older than the table. */
static void
memo(void **state)
{
	struct gate_memo memo = { .known = false };
	struct err err;

	(void)state;
	assert_int_not_equal(decided("198.51.100.93", "b@example.net", &memo),
	    REASON_RECENT_LOGIN);
	for (int i = 0; i < 3; i++) {
		login("198.51.100.93");
		assert_int_equal(
		    decided("198.51.100.93", "b@example.net", &memo),
		    REASON_RECENT_LOGIN);
	}
	assert_true(memo.known);
	assert_int_equal(store_begin(table, &err), 0);
	assert_int_equal(
	    store_delete(table, "198.51.100.93", clock_now(), &err), 1);
	assert_int_equal(store_commit(table, &err), 0);
	assert_int_not_equal(decided("198.51.100.93", "b@example.net", &memo),
	    REASON_RECENT_LOGIN);
}

/* Rows that were committed are on disk when gate_commit() returns; our own
 * mail is only counted. */
static void
records(void **state)
{
	struct gate_request req = request("198.51.100.91", "b@example.net");
	struct audit_receipt receipt = { 0 };
	struct decide_answer answer;
	int64_t before = rows_recorded();

	(void)state;
	login("198.51.100.91");
	gate_decide(gc, &req, &answer);
	struct audit_row *row = gate_row(gc, &req, &answer);

	assert_non_null(row);
	assert_true(gate_commit(gc, row, true, &receipt));
	assert_int_equal(rows_recorded(), before + 1);
	req = request("198.51.100.91", "b@lab.test");
	gate_decide(gc, &req, &answer);
	assert_null(gate_row(gc, &req, &answer));
}

/* The last test: a relay that can't be recorded is put off. */
static void
stopped(void **state)
{
	struct gate_request req = request("198.51.100.91", "b@example.net");
	struct audit_receipt receipt = { 0 };
	struct decide_answer answer;

	(void)state;
	login("198.51.100.91");
	gate_decide(gc, &req, &answer);
	assert_false(answer.refuse);
	struct audit_row *row = gate_row(gc, &req, &answer);

	gate_stop();
	assert_false(gate_commit(gc, row, true, &receipt));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_may_relay),
		cmocka_unit_test(would),
		cmocka_unit_test(own_address),
		cmocka_unit_test(memo),
		cmocka_unit_test(records),
		cmocka_unit_test(stopped),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
