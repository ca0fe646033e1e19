/* SPDX-License-Identifier: ISC */
/* No statement of store and audit_reader reads a large table from end to
 * end, unless that is what was asked for. Statements are caught as they run,
 * so that none is forgotten when its text changes. */
#include "tests/unit/unit.h"

#include <sqlite3.h>

#include "common/base/err.h"
#include "common/db/audit.h"
#include "common/db/store.h"
#include "tests/unit/silent.h"

static char dir[128];
static const char *allowed; /* what the running call may scan; or NULL */
static int statements;
static bool by_id; /* the newest relays were read, whosever they are */
static int64_t steps; /* of SQLite's machine, in statements that ended */

/* "SCAN login", with or without an index: all of it. */
static const char *
scanned(const char *detail)
{
	static const char *const tables[] = { "login_event", "login",
		"channel_decision", "decision", "d" };

	/* the index of the few networks that an admin entered */
	if (strncmp(detail, "SCAN ", 5) != 0 ||
	    strcmp(detail, "SCAN login USING INDEX login_network") == 0 ||
	    strcmp(detail, "SCAN login USING COVERING INDEX login_network") ==
		0)
		return NULL;
	for (size_t i = 0; i < LENGTH(tables); i++) {
		size_t n = strlen(tables[i]);

		if (strncmp(detail + 5, tables[i], n) == 0 &&
		    (detail[5 + n] == ' ' || detail[5 + n] == '\0'))
			return tables[i];
	}
	return NULL;
}

static int
explain(unsigned type, void *arg, void *p, void *x)
{
	sqlite3_stmt *stmt = p, *plan;
	char sql[4096];

	(void)arg;
	(void)x;
	if (type == SQLITE_TRACE_PROFILE) {
		steps +=
		    sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 1);
		return 0;
	}
	/* statements that SQLite runs for its own ends, and EXPLAIN itself */
	if (sqlite3_stmt_isexplain(stmt) != 0 ||
	    (strncasecmp(sqlite3_sql(stmt), "SELECT", 6) != 0 &&
		strncasecmp(sqlite3_sql(stmt), "DELETE", 6) != 0))
		return 0;
	statements++;
	(void)snprintf(
	    sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", sqlite3_sql(stmt));
	assert_int_equal(
	    sqlite3_prepare_v2(sqlite3_db_handle(stmt), sql, -1, &plan, NULL),
	    SQLITE_OK);
	while (sqlite3_step(plan) == SQLITE_ROW) {
		const char *detail = (const char *)sqlite3_column_text(plan, 3);
		const char *table = scanned(detail);

		by_id |= strstr(sql, "class = 'relay'") != NULL &&
		    strcmp(detail,
			"SEARCH channel_decision USING INTEGER PRIMARY KEY "
			"(rowid>?)") == 0;
		if (table != NULL &&
		    (allowed == NULL || strcmp(allowed, table) != 0))
			fail_msg("%s: %s", detail, sqlite3_sql(stmt));
	}
	(void)sqlite3_finalize(plan);
	return 0;
}

static int
watch(sqlite3 *db, char **message, const struct sqlite3_api_routines *api)
{
	(void)message;
	(void)api;
	return sqlite3_trace_v2(
	    db, SQLITE_TRACE_STMT | SQLITE_TRACE_PROFILE, explain, NULL);
}

static bool
any_row(void *arg, const struct store_row *row)
{
	(void)arg;
	(void)row;
	return true;
}

static bool
any_user(void *arg, const char *user)
{
	(void)arg;
	(void)user;
	return true;
}

static bool
any_event(void *arg, const struct store_event *event)
{
	(void)arg;
	(void)event;
	return true;
}

static bool
any_deny(void *arg, const struct store_deny *deny)
{
	(void)arg;
	(void)deny;
	return true;
}

static struct addr
address(const char *text)
{
	struct addr addr;

	assert_true(addr_parse_loose(text, &addr));
	return addr;
}

static struct network
network(const char *text)
{
	struct network net;

	assert_true(network_parse(text, &net));
	return net;
}

static void
store_plans(void **state)
{
	char path[160], cursor[NETWORK_TEXT_MAX] = "";
	struct addr v4 = address("192.0.2.1"), v6 = address("2001:db8::1");
	struct store_lookup found;
	struct network net;
	int64_t users;
	struct store *st;
	struct err err;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/logins.db", dir);
	assert_int_equal(store_open(path, STORE_WRITE, &st, &err), 0);
	statements = 0;
#define GOOD(call) assert_int_equal(call, 0)
	GOOD(store_lookup(st, &v4, "u", 128, 1, &found, &err));
	GOOD(store_lookup(st, &v6, "u", 64, 1, &found, &err));
	GOOD(store_each_match(st, &v4, 128, any_row, NULL, &err));
	GOOD(store_each_match(st, &v6, 64, any_row, NULL, &err));
	GOOD(store_each_row(st, "192.0.2.1", NULL, 1, any_row, NULL, &err));
	GOOD(store_each_row(st, NULL, "u", 1, any_row, NULL, &err));
	GOOD(store_each_row(st, NULL, NULL, 1, any_row, NULL, &err));
	GOOD(store_each_recent(st, 1, 2, any_row, NULL, &err));
	assert_true(network_parse("10.1.0.0/16", &net));
	GOOD(store_each_within(st, &net, any_row, NULL, &err));
	GOOD(store_each_event(st, "192.0.2.1", 5, any_event, NULL, &err));
	GOOD(store_each_deny(st, &v4, "u", 1, any_deny, NULL, &err));
	GOOD(store_each_user(st, &v4, 128, 1, any_user, NULL, &err));
	GOOD(store_sharing(st, "192.0.2.1", 1, 10, &users, &err));
	GOOD(store_delete(st, "192.0.2.1", 1, &err));
	GOOD(store_expire(st, 1, 10, cursor, &err));
	GOOD(store_cap_future(st, 1, 2, 3, &err));
	/* the oldest, by id: a walk that its limit ends */
	allowed = "login_event";
	GOOD(store_prune_events(st, 1, 10, &err));
	/* all that is there is what this one is asked for */
	allowed = "login";
	GOOD(store_each_row(st, NULL, NULL, INT64_MIN, any_row, NULL, &err));
	allowed = NULL;
	assert_true(statements >= 16);
	store_close(&st);
}

static void
fill(struct store *st, const char *client, int users)
{
	struct login login = { .client = address(client),
		.service = "imap",
		.server = "dovecot" };
	struct network net = network_of(&login.client, 64);
	struct err err;

	if (login.client.family == ADDR_IPV4)
		net = network_of(&login.client, 32);
	GOOD(store_begin(st, &err));
	for (int i = 0; i < users; i++) {
		(void)snprintf(
		    login.user, sizeof(login.user), "user%d@lab.test", i);
		GOOD(store_login(st, &login, &net, 5000, NULL, &err));
	}
	GOOD(store_commit(st, &err));
}

/* The cost of a look-up of a client, in steps of SQLite. */
static int64_t
cost(struct store *st, const char *client)
{
	struct addr addr = address(client);
	struct store_lookup found;
	struct err err;

	GOOD(store_lookup(st, &addr, "u", 64, 1, &found, &err));
	steps = 0;
	GOOD(store_lookup(st, &addr, "u", 64, 1, &found, &err));
	assert_true(found.active && found.users == 2);
	return steps;
}

/* However many logins count for a client, and whether somebody is denied or
 * not: a look-up reads no more of them than decide. */
static void
look_up_is_bounded(void **state)
{
	static const struct {
		const char *few, *many;
	} rows[] = { { "192.0.2.1", "192.0.2.2" },
		{ "2001:db8:0:1::1", "2001:db8:0:2::1" } };
	const struct store_deny deny = { .subject = "eve",
		.is_user = true,
		.expires_at = 9000,
		.reason = "" };
	char path[160];
	struct store *st;
	struct err err;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/crowd.db", dir);
	GOOD(store_open(path, STORE_WRITE, &st, &err));
	for (size_t i = 0; i < 2; i++) {
		fill(st, rows[i].few, 2 * STORE_ROWS_CROWD);
		fill(st, rows[i].many, 20 * STORE_ROWS_CROWD);
	}
	for (int denies = 0; denies < 2; denies++) {
		for (size_t i = 0; i < 2; i++) {
			ROW("%s and %s, %s a denial", rows[i].few, rows[i].many,
			    denies ? "with" : "without");
			int64_t few = cost(st, rows[i].few);
			int64_t many = cost(st, rows[i].many);
			int64_t users;

			assert_true(few > STORE_ROWS_CROWD);
			/* ten times the rows, as many steps */
			assert_in_range(many, 0, few + few / 10);
			steps = 0;
			GOOD(store_sharing(
			    st, "192.0.2.2", 1, 11, &users, &err));
			assert_int_equal(users, 11);
			assert_true(steps < 1000);
		}
		GOOD(store_deny_set(st, &deny, &err));
	}
	store_close(&st);
}

static bool
any_record(void *arg, const struct audit_record *rec)
{
	(void)arg;
	(void)rec;
	return true;
}

static bool
any_group(void *arg, const struct audit_group *group)
{
	(void)arg;
	(void)group;
	return true;
}

static bool
any_count(void *arg, int64_t id, int64_t count, int64_t last_ms)
{
	(void)arg;
	(void)id;
	(void)count;
	(void)last_ms;
	return true;
}

static bool
any_breach(void *arg, const struct audit_breach *breach)
{
	(void)arg;
	(void)breach;
	return true;
}

static void
any_brief(void *arg, const struct audit_brief *brief)
{
	(void)arg;
	(void)brief;
}

static bool
any_use(void *arg, const struct audit_use *use)
{
	(void)arg;
	(void)use;
	return true;
}

static void
audit_plans(void **state)
{
	static const struct audit_filter filters[] = {
		{ .client = "192.0.2.1" }, { .user = "u" }, { .queue_id = "Q" },
		{ .limit = 5, .newest_first = true }, { .since_ms = 1000 },
		{ .until_ms = 1000 },
		{ .client = "192.0.2.1", .verdict = "accept" },
		{ .client = "192.0.2.1", .newest_first = true, .limit = 5 },
		{ .user = "u", .newest_first = true, .limit = 5 },
		{ .user = "u",
		    .verdict = "reject",
		    .newest_first = true,
		    .limit = 5,
		    .after_id = 7 },
		{ .sender = "s", .since_ms = 1000 },
		{ .recipient = "r", .since_ms = 1000 },
		/* what 'popgatectl watch' reads each time */
		{ .channels = true,
		    .newest_first = true,
		    .limit = 5,
		    .after_id = 7 }
	};
	const struct network v4 = network("192.0.2.1"),
			     v6 = network("2001:db8:1:2::/64");
	const struct audit_relayed relayed[] = { { .rows_max = 9 },
		{ .rows_max = 9, .users = "Alice,bob" },
		{ .rows_max = 9, .client = &v4 },
		{ .rows_max = 9, .client = &v4, .users = "Alice,bob" },
		{ .rows_max = 9, .client = &v6, .users = "alice" } };
	struct audit_options options = { .queue = 16,
		.keep_s = 3600,
		.log_line = no_line,
		.log_state = no_state };
	struct audit_reader *r;
	struct audit *a;
	int64_t at_ms;
	char path[160];
	struct err err;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/audit.db", dir);
	options.path = path;
	GOOD(audit_start(&options, &a, &err));
	audit_stop(&a);
	GOOD(audit_open_reader(path, &r, &err));
	statements = 0;
	for (size_t i = 0; i < LENGTH(filters); i++) {
		ROW("filter %zu", i);
		GOOD(audit_each(r, &filters[i], any_record, NULL, &err));
	}
	for (int by = AUDIT_BY_HOUR; by <= AUDIT_BY_REASON; by++) {
		const struct audit_group_query q = { .by = (enum audit_key)by,
			.since_ms = 1000,
			.largest_first = true };

		GOOD(audit_each_group(r, &q, any_group, NULL, &err));
	}
	GOOD(audit_tally(r, 1, &err));
	GOOD(audit_each_count(r, 7, 9, any_count, NULL, &err));
	assert_true(audit_version(r, &err) > 0);
	GOOD(audit_each_denial(r, 1, any_breach, NULL, &err));
	GOOD(audit_each_breach(r, 1, false, NULL, any_breach, NULL, &err));
	for (size_t i = 0; i < sizeof(relayed) / sizeof(relayed[0]); i++) {
		by_id = false;
		GOOD(audit_each_relayed(
		    r, &relayed[i], NULL, any_record, NULL, &err));
		assert_true(by_id == (i == 0));
	}
	/* who ever used AUTH: all that is kept */
	allowed = "channel_decision";
	GOOD(audit_each_use(r, true, any_use, NULL, &err));
	GOOD(audit_each_use(r, false, any_use, NULL, &err));
	GOOD(audit_scan(r, 1000, 2000, any_brief, NULL, &err));
	GOOD(audit_first_at(r, "192.0.2.1", &at_ms, &err));
	GOOD(audit_first_at(r, NULL, &at_ms, &err));
	allowed = NULL;
	assert_true(statements >= 20);
	audit_close_reader(&r);
}

/* The test can fail: a scan is found. */
static void
a_scan_is_seen(void **state)
{
	(void)state;
	assert_string_equal(scanned("SCAN login"), "login");
	assert_string_equal(scanned("SCAN decision USING INDEX x"), "decision");
	assert_null(scanned("SEARCH login USING PRIMARY KEY (client=?)"));
	assert_null(scanned("SCAN source"));
}

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_memory_dir());
	return sqlite3_auto_extension((void (*)(void))watch);
}

static int
teardown(void **state)
{
	(void)state;
	sqlite3_reset_auto_extension();
	return unit_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(store_plans),
		cmocka_unit_test(look_up_is_bounded),
		cmocka_unit_test(audit_plans),
		cmocka_unit_test(a_scan_is_seen),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
