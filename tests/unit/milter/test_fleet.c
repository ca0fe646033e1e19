/* SPDX-License-Identifier: ISC */
/* A machine's relays and denials as it tells them, and others' as it takes
 * them: once, whatever fails in between. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/audit.h"
#include "common/db/outbox.h"
#include "common/db/store.h"
#include "common/db/store_share.h"
#include "milter/fleet.h"
#include "milter/throttle.h"
#include "tests/unit/silent.h"

enum { CLIENT_MAX = 10, USER_MAX = 12, SENDERS_MAX = 3, DENY_S = 600 };

static char dir[64], path[100], logins[100], box[120];
static struct config cfg;
static struct audit *audit;
static struct fleet *fleet;
static uint64_t numbers;

/* The process has ended, and another one begins. */
static void
renew(void)
{
	struct err err;

	fleet_free(&fleet);
	fleet = fleet_new(&cfg, &err);
	if (fleet == NULL)
		fail_msg("%s", err.text);
}

static int
start(void **state)
{
	struct err err;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_memory_dir());
	(void)snprintf(path, sizeof(path), "%s/audit.db", dir);
	(void)snprintf(logins, sizeof(logins), "%s/logins.db", dir);
	outbox_path(path, box, sizeof(box));
	cfg.audit.database = path;
	cfg.logins.database = logins;
	cfg.logins.keep_s = 86400;
	for (int i = 0; i < LIMITS; i++)
		cfg.limits.rate[i].window_s = 3600;
	cfg.limits.rate[LIMIT_CLIENT_RECIPIENTS].max = CLIENT_MAX;
	cfg.limits.rate[LIMIT_USER_RECIPIENTS].max = USER_MAX;
	cfg.limits.rate[LIMIT_CLIENT_SENDERS].max = SENDERS_MAX;
	cfg.limits.authenticated = true;
	cfg.limits.deny_for_s = DENY_S;
	cfg.relay.ipv6_prefix = 64;
	const struct audit_options opt = {
		.path = path,
		.queue = 1000,
		.keep_s = 86400,
		.log_line = no_line,
		.log_state = no_state,
		.lifted = throttle_lifted,
	};
	if (audit_start(&opt, &audit, &err) == -1 ||
	    throttle_new(&cfg, &err) == -1 ||
	    throttle_start(&cfg, audit, path, &err) == -1)
		fail_msg("%s", err.text);
	renew();
	return 0;
}

static int
stop(void **state)
{
	char command[100];

	(void)state;
	fleet_free(&fleet);
	audit_stop(&audit);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

/* --- */

static void
turn(void)
{
	struct err err = { .text = "" };
	int more;

	while ((more = fleet_turn(fleet, &cfg, &err)) == 1)
		;
	if (more == -1)
		fail_msg("%s", err.text);
}

/* One accepted recipient. */
struct row {
	enum audit_channel channel;
	enum reason reason;
	const char *client, *auth, *login, *sender, *recipient, *session;
	bool aborted;
	uint64_t number, takes;
};

static void
record(const struct row *r)
{
	const struct audit_facts facts = {
		.at_ms = clock_now_ms(),
		.session = r->session == NULL ? "s" : r->session,
		.client = r->client,
		.sender = r->sender == NULL ? "a@example.org" : r->sender,
		.recipient =
		    r->recipient == NULL ? "b@example.net" : r->recipient,
		.auth_user = r->auth,
		.login_user = r->login,
		.channel = r->channel,
		.mta = "m",
		.number = r->number,
		.takes = r->takes,
		.decision = { .verdict = VERDICT_ACCEPT,
		    .reason = r->reason,
		    .rule = 10 },
	};
	struct audit_row *row = audit_row_new(&facts);

	assert_non_null(row);
	if (r->aborted)
		audit_row_aborted(row);
	assert_true(audit_wait(audit, audit_submit(audit, row, true), 60000));
}

/* The rows of a query, a line each. */
static const char *
ask(const char *file, const char *sql)
{
	static char text[4096];
	size_t n = 0;
	sqlite3 *db;
	sqlite3_stmt *stmt;

	*text = '\0';
	assert_int_equal(
	    sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	(void)sqlite3_busy_timeout(db, 60000);
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	while (sqlite3_step(stmt) == SQLITE_ROW)
		for (int i = 0; i < sqlite3_column_count(stmt); i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
			    "%s%s", (const char *)sqlite3_column_text(stmt, i),
			    i + 1 < sqlite3_column_count(stmt) ? " " : "\n");
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return text;
}

static const char sums_sql[] =
    "SELECT how, client, user, sum(recipients), sum(messages) FROM relayed "
    "WHERE client LIKE '198.51.100.%' OR client LIKE '2001%' OR "
    "user = 'dave' GROUP BY how, client, user ORDER BY how, client, user";

/* --- what is told --- */

static void
each_recipient_is_told_once(void **state)
{
	(void)state;
	/* by one channel; before the first turn, too */
	record(&(struct row){ .channel = CHANNEL_POLICY,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "198.51.100.1",
	    .login = "alice,bob",
	    .session = "p1" });
	record(&(struct row){ .channel = CHANNEL_MILTER,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "198.51.100.1",
	    .login = "alice,bob",
	    .session = "m1" });
	/* by both, before and after it was told */
	record(&(struct row){ .channel = CHANNEL_POLICY,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "198.51.100.2",
	    .login = "",
	    .session = "p2",
	    .number = ++numbers });
	record(&(struct row){ .channel = CHANNEL_MILTER,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "198.51.100.2",
	    .session = "m2",
	    .takes = numbers });
	record(&(struct row){ .channel = CHANNEL_POLICY,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "198.51.100.3",
	    .session = "p3",
	    .number = ++numbers });
	turn();
	record(&(struct row){ .channel = CHANNEL_MILTER,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "198.51.100.3",
	    .session = "m3",
	    .takes = numbers });
	/* a map that knows the client alone has decided on no recipient */
	record(&(struct row){ .channel = CHANNEL_SOCKETMAP,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "198.51.100.4",
	    .recipient = "",
	    .session = "c4",
	    .number = ++numbers });
	record(&(struct row){ .channel = CHANNEL_MILTER,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "198.51.100.4",
	    .session = "m4",
	    .takes = numbers });
	/* given up; three of one message; AUTH; a network that isn't charged */
	record(&(struct row){ .channel = CHANNEL_MILTER,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "198.51.100.5",
	    .aborted = true });
	for (int i = 0; i < 3; i++)
		record(&(struct row){ .channel = CHANNEL_MILTER,
		    .reason = REASON_RECENT_LOGIN,
		    .client = "2001:db8::1",
		    .login = "carol",
		    .session = "m6" });
	record(&(struct row){ .channel = CHANNEL_MILTER,
	    .reason = REASON_AUTHENTICATED,
	    .client = "unknown",
	    .auth = "dave",
	    .session = "m7" });
	record(&(struct row){ .channel = CHANNEL_MILTER,
	    .reason = REASON_TRUSTED_NETWORK,
	    .client = "198.51.100.6",
	    .session = "m8" });
	turn();
	assert_string_equal(ask(box, sums_sql),
	    "auth  dave 1 1\n"
	    "login 198.51.100.1 alice,bob 2 2\n"
	    "login 198.51.100.2  1 1\n"
	    "login 198.51.100.3  1 1\n"
	    "login 198.51.100.4  1 1\n"
	    "login 2001:db8::1 carol 3 1\n");
}

static void
nothing_is_lost_by_an_end(void **state)
{
	static const char sql[] = "SELECT sum(recipients) FROM relayed "
				  "WHERE client = '203.0.113.1'";

	(void)state;
	for (int i = 0; i < 5; i++) {
		record(&(struct row){ .channel = CHANNEL_POLICY,
		    .reason = REASON_RECENT_LOGIN,
		    .client = "203.0.113.1" });
		renew();
		if (i % 2 == 0)
			turn();
	}
	turn();
	assert_string_equal(ask(box, sql), "5\n");
}

/* The outbox is another one: others know what was told by the old one. */
static void
a_lost_outbox_begins_anew(void **state)
{
	char origin[64];

	(void)state;
	(void)snprintf(origin, sizeof(origin), "%s",
	    ask(box, "SELECT origin FROM progress"));
	(void)unlink(box);
	turn();
	record(&(struct row){ .channel = CHANNEL_POLICY,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "203.0.113.2" });
	turn();
	assert_string_equal(ask(box, "SELECT client, recipients FROM relayed"),
	    "203.0.113.2 1\n");
	assert_string_not_equal(
	    origin, ask(box, "SELECT origin FROM progress"));
	assert_int_equal(strlen(origin), OUTBOX_ORIGIN_MAX);
}

static void
turn_fails(void)
{
	struct err err = { .text = "" };

	assert_int_equal(fleet_turn(fleet, &cfg, &err), -1);
	assert_string_not_equal(err.text, "");
}

static void
locked_and_full(void **state)
{
	static const char sql[] = "SELECT sum(recipients) FROM relayed "
				  "WHERE client = '203.0.113.3'";
	struct rlimit old, none;
	sqlite3 *db;

	(void)state;
	record(&(struct row){ .channel = CHANNEL_POLICY,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "203.0.113.3" });
	assert_int_equal(sqlite3_open(box, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	turn_fails();
	(void)sqlite3_close(db);
	turn();
	assert_string_equal(ask(box, sql), "1\n");
	record(&(struct row){ .channel = CHANNEL_POLICY,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "203.0.113.3" });
	/* as a disk without room: what is written can't grow */
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = old;
	none.rlim_cur = 512;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	turn_fails();
	turn_fails();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	turn();
	assert_string_equal(ask(box, sql), "2\n");
}

/* --- what others tell --- */

static void
others_say(const struct relayed *r, const struct store_word *w)
{
	struct store *st;
	struct err err;

	if (store_open(logins, STORE_WRITE, &st, &err) == -1 ||
	    store_begin(st, &err) == -1 ||
	    (r != NULL && store_relayed_take(st, r, &err) == -1) ||
	    (w != NULL &&
		store_share_take_word(st, w, clock_now(), 1800, &err) == -1) ||
	    store_commit(st, &err) == -1)
		fail_msg("%s", err.text);
	store_close(&st);
}

static bool
take(
    const char *client, const char *users, const char *auth, const char *sender)
{
	char login_users[USERLIST_MAX];
	const struct facts_question q = {
		.sender = sender == NULL ? "a@example.org" : sender,
		.recipient = "b@example.net",
		.auth_user = auth,
	};
	struct facts_question asked = q;
	const struct throttle_recipient r = {
		.q = &asked,
		.reason =
		    auth != NULL ? REASON_AUTHENTICATED : REASON_RECENT_LOGIN,
		.login_users = login_users,
		.channel = CHANNEL_POLICY,
		.at_ms = clock_now_ms(),
	};

	assert_true(addr_parse_loose(client, &asked.client));
	(void)snprintf(login_users, sizeof(login_users), "%s", users);
	return throttle_take(&cfg, &r);
}

static struct relayed
told(int64_t number, const char *client, const char *user, const char *how,
    int64_t recipients)
{
	return (struct relayed){ .origin = "0123456789abcdef0123456789abcdef",
		.number = number,
		.at = clock_now(),
		.client = client,
		.user = user,
		.how = how,
		.sender = "a@example.org",
		.recipients = recipients,
		.messages = 1 };
}

static void
what_others_relay_is_missing_here(void **state)
{
	struct relayed r =
	    told(1, "192.0.2.1", "alice", RELAYED_LOGIN, CLIENT_MAX - 1);

	(void)state;
	others_say(&r, NULL);
	others_say(&r, NULL); /* a copy */
	turn();
	turn();
	assert_true(take("192.0.2.1", "alice", NULL, NULL));
	assert_false(take("192.0.2.1", "alice", NULL, NULL));
	/* the user has two more, from elsewhere */
	assert_true(take("192.0.2.2", "Alice", NULL, NULL));
	assert_true(take("192.0.2.2", "Alice", NULL, NULL));
	assert_false(take("192.0.2.2", "Alice", NULL, NULL));
	/* AUTH is counted apart */
	r = told(2, "192.0.2.3", "alice", RELAYED_AUTH, USER_MAX);
	assert_true(take("192.0.2.3", "", "alice", NULL));
	others_say(&r, NULL);
	turn();
	assert_false(take("192.0.2.3", "", "alice", NULL));
	/* senders are told apart by their names */
	r = told(3, "192.0.2.4", "", RELAYED_LOGIN, 1);
	others_say(&r, NULL);
	r.number++;
	r.sender = "Other@example.org";
	others_say(&r, NULL);
	turn();
	assert_true(take("192.0.2.4", "", NULL, "A@example.org"));
	assert_true(take("192.0.2.4", "", NULL, "other@example.org"));
	assert_true(take("192.0.2.4", "", NULL, "third@example.org"));
	assert_false(take("192.0.2.4", "", NULL, "fourth@example.org"));
}

/* Relays older than the window no longer count, whenever they come. */
static void
late_counts_count_at_their_time(void **state)
{
	struct relayed r = told(20, "192.0.2.5", "", RELAYED_LOGIN, CLIENT_MAX);

	(void)state;
	r.at -= 2 * 3600;
	others_say(&r, NULL);
	r = told(21, "192.0.2.5", "", RELAYED_LOGIN, CLIENT_MAX - 1);
	r.at -= 1800;
	others_say(&r, NULL);
	turn();
	assert_true(take("192.0.2.5", "", NULL, NULL));
	assert_false(take("192.0.2.5", "", NULL, NULL));
}

static bool
denied(const char *client, const char *auth)
{
	struct addr a;

	assert_true(addr_parse_loose(client, &a));
	return throttle_denied(&a, auth, clock_now());
}

static bool
logins_denied(const char *user)
{
	char users[USERLIST_MAX];

	(void)snprintf(users, sizeof(users), "%s", user);
	return throttle_denied_logins(users, clock_now());
}

static void
flush(void)
{
	/* an idle round of the writer reads lifts, too */
	record(&(struct row){ .channel = CHANNEL_MILTER,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "203.0.113.9" });
	record(&(struct row){ .channel = CHANNEL_MILTER,
	    .reason = REASON_RECENT_LOGIN,
	    .client = "203.0.113.9" });
}

static void
who_is_denied_elsewhere_is_denied_here(void **state)
{
	int64_t now = clock_now();
	struct store_word w = { .kind = WORD_BREACH_CLIENT,
		.subject = "192.0.2.20",
		.user = "",
		.at = now,
		.until = now + DENY_S,
		.note = "client_recipients 2000/1h" };
	static const char breaches[] =
	    "SELECT kind, setting, allowed FROM breach "
	    "WHERE subject IN ('192.0.2.20', 'eve')";

	(void)state;
	turn();
	others_say(NULL, &w);
	w.kind = WORD_BREACH_LOGIN;
	w.subject = "eve";
	w.note = "user_recipients 1000/1h";
	others_say(NULL, &w);
	/* ended already */
	w.subject = "frank";
	w.at -= 2 * DENY_S;
	w.until = now - 1;
	others_say(NULL, &w);
	turn();
	assert_true(denied("192.0.2.20", NULL));
	assert_true(logins_denied("eve"));
	assert_false(denied("192.0.2.21", "eve"));
	assert_false(logins_denied("frank"));
	flush();
	turn();
	/* a new process knows it from the audit, and doesn't say it again */
	renew();
	turn();
	flush();
	assert_string_equal(ask(path, breaches),
	    "client client_recipients 2000/1h\n"
	    "login user_recipients 1000/1h\n");
	/* what is told back is the very same word */
	assert_string_equal(
	    ask(box, "SELECT count(*) FROM denial WHERE subject = 'eve'"),
	    "1\n");
}

static void
who_is_let_in_elsewhere_is_let_in_here(void **state)
{
	int64_t now = clock_now();
	struct relayed r =
	    told(30, "192.0.2.30", "", RELAYED_LOGIN, CLIENT_MAX);
	const struct audit_breach breach = { .at_ms = now * 1000,
		.subject = "192.0.2.30",
		.setting = "client_recipients",
		.allowed = "10/1h",
		.client = "192.0.2.30",
		.sender = "",
		.denied_until = now + DENY_S };
	const struct store_word w = { .kind = WORD_BREACH_CLIENT,
		.subject = "192.0.2.30",
		.user = "",
		.at = now + 1,
		.until = now + 1,
		.note = "" };
	const struct audit_denial d = { .subject = "192.0.2.30",
		.at = now,
		.until = now + DENY_S,
		.note = "client_recipients 10/1h" };

	(void)state;
	others_say(&r, NULL);
	audit_breach(audit, &breach);
	flush();
	turn();
	throttle_deny(&d);
	assert_false(take("192.0.2.30", "", NULL, NULL));
	assert_true(denied("192.0.2.30", NULL));
	others_say(NULL, &w);
	turn();
	flush();
	assert_false(denied("192.0.2.30", NULL));
	/* counted from zero, whatever comes late */
	r.number++;
	others_say(&r, NULL);
	turn();
	assert_true(take("192.0.2.30", "", NULL, NULL));
	assert_string_equal(ask(path, "SELECT kind, who FROM lift"),
	    "client another machine\n");
	turn();
	assert_string_equal(ask(path, "SELECT count(*) FROM lift"), "1\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_recipient_is_told_once),
		cmocka_unit_test(nothing_is_lost_by_an_end),
		cmocka_unit_test(a_lost_outbox_begins_anew),
		cmocka_unit_test(locked_and_full),
		cmocka_unit_test(what_others_relay_is_missing_here),
		cmocka_unit_test(late_counts_count_at_their_time),
		cmocka_unit_test(who_is_denied_elsewhere_is_denied_here),
		cmocka_unit_test(who_is_let_in_elsewhere_is_let_in_here),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
