/* SPDX-License-Identifier: ISC */
/* dependents_gather() on a record of decisions that SQL fills: what is counted
 * is what audit.db holds, however it came there. */
#include "tests/unit/unit.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/err.h"
#include "common/db/audit.h"
#include "common/db/db.h"
#include "common/db/sql.h"
#include "ctl/dependents.h"

enum { DAY = 86400 };

static const int64_t now = 1774864800; /* Mon 2026-03-30 12:00 +0200 */
static char path[160];

struct row {
	int64_t ago_s;
	const char *login, *auth, *client, *helo, *sender, *session, *channel;
	int count; /* 0: a row that another one stands for */
	const char *reply, *verdict;
};

static void
fill(const struct row *rows, size_t n)
{
	sqlite3 *db;
	struct err err;

	(void)unlink(path);
	assert_int_equal(db_open(path, DB_CREATE, 1000, sql_audit,
			     SQL_AUDIT_STEPS, &db, &err),
	    0);
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		char *sql = sqlite3_mprintf(
		    "INSERT INTO channel_decision (at, session, queue_id, "
		    "client, client_name, helo, sender, recipient, class, "
		    "verdict, reason, auth_user, login_user, login_at, rule, "
		    "reply, channel, mta, count) VALUES (%lld, %Q, NULL, %Q, "
		    "'', %Q, %Q, '<x@far.test>', 'relay', %Q, %Q, %Q, %Q, "
		    "NULL, 10, %Q, %Q, '', %d)",
		    (long long)(now - r->ago_s) * 1000,
		    r->session == NULL ? "s.1" : r->session,
		    r->client == NULL ? "192.0.2.1" : r->client,
		    r->helo == NULL ? "pc" : r->helo,
		    r->sender == NULL ? "a@example.com" : r->sender,
		    r->verdict == NULL ? "accept" : r->verdict,
		    r->auth != NULL ? "authenticated" : "recent-login", r->auth,
		    r->login, r->reply,
		    r->channel == NULL ? "milter" : r->channel, r->count);

		assert_int_equal(db_exec(db, sql, &err), 0);
		sqlite3_free(sql);
	}
	(void)sqlite3_close(db);
}

#define GATHER(rows, since, d) gather(rows, LENGTH(rows), since, d)
static void
gather(const struct row *rows, size_t n, int64_t since, struct dependents **d)
{
	struct audit_reader *r;
	struct err err;

	fill(rows, n);
	assert_int_equal(audit_open_reader(path, &r, &err), 0);
	assert_int_equal(dependents_gather(r, since, now, true, d, &err), 0);
	audit_close_reader(&r);
}

static const struct dependent *
user(const struct dependents *d, const char *name)
{
	for (size_t i = 0; i < d->users; i++)
		if (strcmp(d->user[i].user, name) == 0)
			return &d->user[i];
	fail_msg("%s is not there", name);
	return NULL;
}

static void
counts(void **state)
{
	static const struct row rows[] = {
		/* long ago: says since when, and no more */
		{ .ago_s = 60 * DAY, .login = "ann", .count = 1 },
		/* a message of two recipients, told by both channels */
		{ .ago_s = 900,
		    .login = "ann",
		    .session = "p1",
		    .channel = "policy",
		    .count = 0 },
		{ .ago_s = 900, .login = "ann", .session = "m.1", .count = 1 },
		{ .ago_s = 899, .login = "ann", .session = "m.1", .count = 1 },
		/* another one, by another case of the name, from elsewhere */
		{ .ago_s = 800,
		    .login = "ANN",
		    .session = "m.2",
		    .count = 1,
		    .client = "192.0.2.2" },
		/* the client gave it up */
		{ .ago_s = 700,
		    .login = "ann",
		    .session = "m.3",
		    .count = 1,
		    .reply = "aborted" },
		{ .ago_s = 700,
		    .login = "ann",
		    .session = "m.4",
		    .count = 1,
		    .verdict = "reject" },
		/* nobody's */
		{ .ago_s = 600,
		    .login = "bob,ann",
		    .session = "m.5",
		    .count = 2 },
		{ .ago_s = 500, .session = "m.6", .count = 1 },
	};
	struct dependents *d;

	(void)state;
	GATHER(rows, now - 30 * DAY, &d);
	assert_int_equal(d->users, 1);
	const struct dependent *ann = user(d, "ann");

	assert_int_equal(ann->recipients, 3);
	assert_int_equal(ann->messages, 2);
	assert_int_equal(ann->addresses, 2);
	assert_int_equal(ann->first_at, now - 60 * DAY);
	assert_int_equal(ann->last_at, now - 800);
	assert_int_equal(ann->auth_at, 0);
	assert_int_equal(ann->state, DEPENDENT_DEPENDS);
	assert_int_equal(d->shared, 3);
	dependents_free(&d);
}

/* Messages are those of the view. */
static void
messages(void **state)
{
	static const struct {
		struct row row;
		const char *queue_id;
	} rows[] = {
		{ { .session = "p.1", .channel = "policy" }, "" },
		{ { .session = "p.1", .channel = "policy" }, "Q1" },
		{ { .session = "m.1" }, "Q1" },
		{ { .session = "m.1" }, "Q2" },
		{ { .session = "old" }, "Q1" },
		{ { .session = "old" }, "Q2" },
		{ { .session = "old" }, "" },
		{ { .session = "x", .channel = "socketmap" }, "" },
	};
	struct row v[LENGTH(rows) + 1];
	struct dependents *d;
	struct audit_reader *r;
	struct err err;
	sqlite3 *db;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		v[i] = rows[i].row;
		v[i].login = "ann";
		v[i].count = 1;
	}
	/* the same message for another user is one of each */
	v[LENGTH(rows)] = v[0];
	v[LENGTH(rows)].login = "bob";
	fill(v, LENGTH(v));
	assert_int_equal(db_open(path, DB_WRITE, 1000, sql_audit,
			     SQL_AUDIT_STEPS, &db, &err),
	    0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char *sql = sqlite3_mprintf(
		    "UPDATE channel_decision SET queue_id = nullif(%Q, '') "
		    "WHERE id = %d",
		    rows[i].queue_id, (int)i + 1);

		assert_int_equal(db_exec(db, sql, &err), 0);
		sqlite3_free(sql);
	}
	int64_t want = db_number(db,
	    "SELECT count(DISTINCT message) FROM decision "
	    "WHERE login_user = 'ann'",
	    &err);

	(void)sqlite3_close(db);
	assert_int_equal(want, 5);
	assert_int_equal(audit_open_reader(path, &r, &err), 0);
	assert_int_equal(dependents_gather(r, 0, now, true, &d, &err), 0);
	assert_int_equal(user(d, "ann")->messages, want);
	assert_int_equal(user(d, "bob")->messages, 1);
	dependents_free(&d);
	audit_close_reader(&r);
}

/* The messages of an hour ago are known, too. */
static void
messages_over_hours(void **state)
{
	struct row rows[12];
	struct dependents *d;

	(void)state;
	for (int i = 0; i < 12; i++)
		rows[i] = (struct row){ .ago_s = (12 - i) * 1500,
			.login = "ann",
			.session = i % 2 == 0 ? "m.1" : "m.2",
			.count = 1 };
	/* rows of a message that are 50 minutes apart are of one */
	GATHER(rows, 0, &d);
	assert_int_equal(user(d, "ann")->recipients, 12);
	assert_in_range(user(d, "ann")->messages, 2, 5);
	dependents_free(&d);
}

static void
states(void **state)
{
	static const struct row rows[] = {
		{ .ago_s = 20 * DAY, .login = "moved", .count = 1 },
		{ .ago_s = 9 * DAY, .auth = "Moved", .count = 1 },
		{ .ago_s = 20 * DAY, .login = "both", .count = 1 },
		{ .ago_s = 9 * DAY, .auth = "both", .count = 1 },
		{ .ago_s = 6 * DAY, .login = "both", .count = 1 },
		/* tried it once, and went back */
		{ .ago_s = 19 * DAY, .auth = "back", .count = 1 },
		{ .ago_s = 9 * DAY, .login = "back", .count = 1 },
		{ .ago_s = 9 * DAY, .login = "quiet", .count = 1 },
		{ .ago_s = 8 * DAY, .auth = "never", .count = 1 },
		/* an address is another user than its local part */
		{ .ago_s = 8 * DAY, .auth = "quiet@example.com", .count = 1 },
	};
	static const struct {
		const char *user;
		enum dependent_state want;
	} want[] = {
		{ "moved", DEPENDENT_MOVED },
		{ "both", DEPENDENT_BOTH },
		{ "back", DEPENDENT_BOTH },
		{ "quiet", DEPENDENT_DEPENDS },
	};
	struct dependents *d;

	(void)state;
	GATHER(rows, now - 30 * DAY, &d);
	for (size_t i = 0; i < LENGTH(want); i++) {
		ROW("%s", want[i].user);
		assert_int_equal(user(d, want[i].user)->state, want[i].want);
	}
	assert_int_equal(user(d, "never")->first_at, 0);
	assert_int_equal(user(d, "moved")->auth_at, now - 9 * DAY);
	dependents_free(&d);
}

static void
devices(void **state)
{
	struct row rows[12];
	char helo[12][8], client[12][16];
	struct dependents *d;

	(void)state;
	for (int i = 0; i < 12; i++) {
		(void)snprintf(helo[i], sizeof(helo[i]), "h%d", i % 10);
		(void)snprintf(
		    client[i], sizeof(client[i]), "192.0.2.%d", i % 10);
		rows[i] = (struct row){ .ago_s = 100 - i,
			.login = "ann",
			.helo = helo[i],
			.client = client[i],
			.count = 2 };
	}
	GATHER(rows, 0, &d);
	const struct dependent *ann = user(d, "ann");

	/* h0 was forgotten for h8, and h1 for h9; both came again */
	assert_int_equal(ann->n_devices, DEPENDENT_KEPT);
	assert_int_equal(ann->n_addresses, DEPENDENT_KEPT);
	assert_int_equal(ann->addresses, 10);
	assert_string_equal(ann->device[0].helo, "h1");
	assert_string_equal(ann->device[1].helo, "h0");
	assert_string_equal(ann->device[2].helo, "h9");
	assert_string_equal(ann->device[7].helo, "h4");
	assert_int_equal(ann->device[0].recipients, 2);
	assert_int_equal(ann->device[0].last_at, now - 89);
	dependents_free(&d);
}

static void
weeks(void **state)
{
	/* in the weeks of 9, 16, 23 (to summer time) and 30 March */
	static const struct row rows[] = {
		{ .ago_s = 20 * DAY, .login = "ann", .count = 1 },
		{ .ago_s = 20 * DAY, .login = "bob", .count = 1 },
		{ .ago_s = 13 * DAY, .login = "ann", .count = 1 },
		{ .ago_s = 13 * DAY, .login = "bob", .count = 1 },
		{ .ago_s = 12 * DAY, .auth = "bob", .count = 1 },
		/* a minute before Monday, and a minute behind it */
		{ .ago_s = 12 * 3600 + 60, .login = "ann", .count = 1 },
		{ .ago_s = 12 * 3600 - 60, .login = "ann", .count = 1 },
		{ .ago_s = 3600, .login = "bob", .count = 1 },
		{ .ago_s = 3600, .auth = "bob", .count = 1 },
	};
	static const struct {
		int64_t begin_ago_s, by_login, never_auth, by_auth;
	} want[] = {
		{ 21 * DAY + 11 * 3600, 2, 2, 0 },
		{ 14 * DAY + 11 * 3600, 2, 1, 1 },
		{ 7 * DAY + 11 * 3600, 1, 1, 0 },
		{ 12 * 3600, 2, 1, 1 },
	};
	struct dependents *d;

	(void)state;
	GATHER(rows, 0, &d);
	assert_int_equal(d->weeks, LENGTH(want));
	for (size_t i = 0; i < LENGTH(want); i++) {
		ROW("week %zu", i);
		assert_int_equal(now - d->week[i].begin, want[i].begin_ago_s);
		assert_int_equal(d->week[i].by_login, want[i].by_login);
		assert_int_equal(d->week[i].never_auth, want[i].never_auth);
		assert_int_equal(d->week[i].by_auth, want[i].by_auth);
	}
	dependents_free(&d);
}

/* More weeks than are kept, many users, and none. */
static void
bounds(void **state)
{
	static const struct row old[] = {
		{ .ago_s = 500 * DAY, .auth = "ann", .count = 1 },
		{ .ago_s = 499 * DAY, .login = "bob", .count = 1 },
		{ .ago_s = 60, .login = "ann", .count = 1 },
	};
	static struct row many[3000];
	static char names[3000][8];
	struct dependents *d;

	(void)state;
	GATHER(old, 0, &d);
	assert_int_equal(d->weeks, 1);
	assert_int_equal(d->week[0].by_login, 1);
	assert_int_equal(d->week[0].never_auth, 0);
	dependents_free(&d);
	for (size_t i = 0; i < LENGTH(many); i++) {
		(void)snprintf(names[i], sizeof(names[i]), "u%zu", i % 1000);
		many[i] =
		    (struct row){ .ago_s = 60, .login = names[i], .count = 1 };
	}
	GATHER(many, 0, &d);
	assert_int_equal(d->users, 1000);
	for (size_t i = 0; i < d->users; i++)
		assert_int_equal(d->user[i].recipients, 3);
	dependents_free(&d);
	gather(NULL, 0, 0, &d);
	assert_int_equal(d->users, 0);
	assert_int_equal(d->weeks, 0);
	dependents_free(&d);
	assert_null(d);
	dependents_free(&d);
}

static int
setup(void **state)
{
	(void)state;
	(void)setenv("TZ", "Europe/Berlin", 1);
	tzset();
	(void)snprintf(path, sizeof(path), "%s/audit.db", unit_memory_dir());
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	*strrchr(path, '/') = '\0';
	return unit_remove(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),
		cmocka_unit_test(messages),
		cmocka_unit_test(messages_over_hours),
		cmocka_unit_test(states),
		cmocka_unit_test(devices),
		cmocka_unit_test(weeks),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
