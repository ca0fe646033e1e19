/* SPDX-License-Identifier: ISC */
/* Usage counted while it happens, and usage counted after a restart, from the
 * audit: the same. */
#include "tests/unit/unit.h"

#include <stdbool.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/config/config.h"
#include "common/db/audit.h"
#include "common/policy/charge.h"
#include "tests/unit/chance.h"
#include "tests/unit/silent.h"

enum { CLIENTS = 5, USERS = 4, LISTS = 6, SENDERS = 6 };

static const char *const clients[CLIENTS] = { "192.0.2.1", "192.0.2.2",
	"2001:db8:1:1::1", "2001:db8:1:1::2", "2001:db8::9" };
static const char *const users[USERS] = { "", "alice", "Bob", "bob" };
/* whose logins let a client relay */
static const char *const lists[LISTS] = { "", "alice", "Bob", "bob,alice",
	"carol,BOB,dave", "ALICE" };

static char dir[64], db[96];
static struct config *cfg;

static struct audit *
start(void)
{
	const struct audit_options opt = { .path = db,
		.queue = 100000,
		.keep_s = 86400 * 30,
		.log_line = no_line,
		.log_state = no_state };
	struct audit *a;
	struct err err;

	if (audit_start(&opt, &a, &err) == -1)
		fail_msg("%s", err.text);
	return a;
}

static struct limiter *
make(void)
{
	struct err err;
	struct limiter *l = limiter_new(cfg->limits.rate, 128, 20000, &err);

	assert_non_null(l);
	return l;
}

static int
set_up(const char *limits)
{
	const char *path = unit_file(0, limits);
	struct err err;

	if (config_load(path, &cfg, &err) == -1)
		fail_msg("%s", err.text);
	(void)unlink(path);
	(void)snprintf(dir, sizeof(dir), "%s", unit_memory_dir());
	(void)snprintf(db, sizeof(db), "%s/audit.db", dir);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	return set_up(
	    "limits: { client_recipients = "
	    "\"5/20m\"; client_messages = \"5/10m\"; client_senders = "
	    "\"5/5m\"; user_recipients = \"5/15m\"; user_messages = "
	    "\"5/7m\"; user_clients = \"5/30m\"; };\n");
}

/* Users' clients count for longer than all else, as by default. */
static int
setup_long(void **state)
{
	(void)state;
	return set_up("limits: { client_recipients = "
		      "\"5/1m\"; client_messages = \"5/2m\"; client_senders = "
		      "\"5/1m\"; user_recipients = \"5/2m\"; user_messages = "
		      "\"5/1m\"; user_clients = \"5/30m\"; };\n");
}

static int
teardown(void **state)
{
	(void)state;
	config_free(cfg);
	return unit_remove(dir);
}

/* One decision: counted now, and submitted to the audit. */
struct moment {
	int64_t at_ms;
	const char *session, *queue_id, *client, *sender, *recipient;
	const char *auth_user, *login_user;
	enum reason reason;
	enum verdict verdict;
	enum audit_channel channel;
	bool local;
	struct limiter_message *message;
	struct audit_row **open; /* rows that wait for the message's end */
};

static void
happen(struct limiter *l, struct audit *a, const struct moment *m)
{
	struct limiter_answer answer;
	struct limiter_event ev = { .now_s = m->at_ms / 1000,
		.sender = m->sender,
		.recipient = m->recipient,
		.message = m->message,
		.hold = m->channel == CHANNEL_MILTER && m->message != NULL,
		.permit = m->channel != CHANNEL_MILTER };
	const struct audit_facts facts = { .at_ms = m->at_ms,
		.session = m->session,
		.queue_id = m->queue_id,
		.client = m->client,
		.client_name = "",
		.helo = "",
		.sender = m->sender,
		.recipient = m->recipient,
		.auth_user = m->auth_user,
		.login_user = m->login_user,
		.local = m->local,
		.channel = m->channel,
		.decision = { .reason = m->reason, .verdict = m->verdict } };

	assert_true(addr_parse_loose(m->client, &ev.client));
	if (m->verdict == VERDICT_ACCEPT && !m->local &&
	    *m->recipient != '\0' &&
	    charge_event(cfg, m->reason, m->auth_user, m->login_user, &ev))
		limiter_take(l, NULL, &ev, &answer);
	struct audit_row *row = audit_row_new(&facts);

	assert_non_null(row);
	if (m->open != NULL && m->verdict == VERDICT_ACCEPT)
		*m->open = audit_row_chain(*m->open, row);
	else
		assert_int_not_equal(audit_submit(a, row, false), 0);
}

/* The end of a message that the milter sees, as its callbacks make it. */
static void
finish(struct limiter *l, struct audit *a, struct moment *m)
{
	bool sent = random_below(3) > 0;

	if (!sent)
		audit_row_aborted(*m->open);
	if (*m->open != NULL)
		assert_int_not_equal(audit_submit(a, *m->open, false), 0);
	*m->open = NULL;
	limiter_settle(l, cfg->limits.rate, m->at_ms / 1000, m->message, sent);
}

/* A message by one of the ways: permit channel and milter, or one of them. */
static void
random_message(struct limiter *l, struct audit *a, int64_t at_ms, int number)
{
	static const enum reason reasons[] = { REASON_RECENT_LOGIN,
		REASON_RECENT_LOGIN, REASON_AUTHENTICATED,
		REASON_TRUSTED_NETWORK };
	static const enum audit_channel asks[] = { CHANNEL_POLICY,
		CHANNEL_SOCKETMAP };
	struct limiter_message asked = { .counted = false }, seen = asked;
	unsigned way = random_below(3); /* 0 both, 1 permit, 2 milter */
	unsigned n = 1 + random_below(4);
	char session[32], queue_id[32], sender[32], recipient[32];
	struct audit_row *open = NULL;
	struct moment m = { .at_ms = at_ms,
		.session = session,
		.sender = sender,
		.client = clients[random_below(CLIENTS)],
		.recipient = recipient,
		.verdict = VERDICT_ACCEPT,
		.reason = reasons[random_below(4)] };
	enum audit_channel ask = asks[random_below(2)];

	(void)snprintf(sender, sizeof(sender), "s%u@x", random_below(SENDERS));
	if (m.reason == REASON_AUTHENTICATED || random_below(4) == 0)
		m.auth_user = users[1 + random_below(USERS - 1)];
	if (m.reason != REASON_AUTHENTICATED)
		m.login_user = lists[random_below(LISTS)];
	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(
		    recipient, sizeof(recipient), "<r%d-%u@y>", number, i);
		/* what doesn't count, too */
		m.verdict =
		    random_below(6) == 0 ? VERDICT_TEMPFAIL : VERDICT_ACCEPT;
		m.local = random_below(8) == 0;
		if (way != 2) {
			m.channel = ask;
			m.queue_id = "";
			m.message = ask == CHANNEL_POLICY ? &asked : NULL;
			m.open = NULL;
			/* the instance of Postfix; each request of a map */
			(void)snprintf(session, sizeof(session),
			    ask == CHANNEL_POLICY ? "i%d" : "p%d-%u", number,
			    i);
			happen(l, a, &m);
			/* a map that only names the client */
			if (ask == CHANNEL_SOCKETMAP && random_below(5) == 0) {
				m.recipient = "";
				happen(l, a, &m);
				m.recipient = recipient;
			}
		}
		if (way != 1) {
			m.channel = CHANNEL_MILTER;
			m.message = &seen;
			(void)snprintf(
			    session, sizeof(session), "m%d", number / 3);
			(void)snprintf(
			    queue_id, sizeof(queue_id), "q%d", number);
			m.queue_id = queue_id;
			m.open = &open;
			happen(l, a, &m);
		}
	}
	if (way != 1) {
		m.message = &seen;
		m.open = &open;
		finish(l, a, &m);
	}
}

static void
same_for(struct limiter *a, struct limiter *b, const struct limiter_event *ev)
{
	int64_t want[LIMITS], got[LIMITS];

	limiter_usage(a, ev, want);
	limiter_usage(b, ev, got);
	for (int i = 0; i < LIMITS; i++)
		if (got[i] != want[i])
			fail_msg("%s by %s, %s: %lld, live %lld", ev->user,
			    ev->by_login ? "login" : "AUTH",
			    limit_name((enum limit)i), (long long)got[i],
			    (long long)want[i]);
}

static void
same(struct limiter *a, struct limiter *b, int64_t now_s)
{
	for (int c = 0; c < CLIENTS; c++)
		for (int u = 0; u < USERS; u++) {
			struct limiter_event ev = { .now_s = now_s,
				.user = users[u] };

			assert_true(addr_parse_loose(clients[c], &ev.client));
			same_for(a, b, &ev);
			ev.by_login = true;
			same_for(a, b, &ev);
		}
}

static void
lift(struct limiter *l, bool is_user, const char *subject, int64_t at_ms)
{
	const struct audit_lift lift = { .at_ms = at_ms,
		.is_user = is_user,
		.subject = subject,
		.who = "root" };
	uint64_t number[2];
	struct err err;

	if (audit_lift(db, &lift, &err) == -1)
		fail_msg("%s", err.text);
	int n = charge_subjects(l, is_user, false, subject, number);

	assert_int_equal(n, is_user ? 2 : 1);
	for (int i = 0; i < n; i++)
		limiter_forget(l, number[i]);
}

/* The usage of one client and its users from the rows that concern them, which
 * popgatectl asks, is that from all rows. */
static void
same_of_one(struct limiter *all, struct audit_reader *r, int64_t now_ms)
{
	for (unsigned i = 0; i < 40; i++) {
		struct limiter *one = make();
		bool by_login = random_below(2) == 0;
		struct limiter_event ev = { .now_s = now_ms / 1000,
			.by_login = by_login,
			.user = by_login ? lists[random_below(LISTS)]
					 : users[random_below(USERS)] };
		struct charge_history h = {
			.now_ms = now_ms, .now_s = ev.now_s, .only = &ev
		};
		struct err err;

		assert_true(addr_parse_loose(
		    clients[random_below(CLIENTS)], &ev.client));
		ev.free_client = *ev.user != '\0' && random_below(3) == 0;
		if (charge_history(one, cfg, r, &h, &err) == -1)
			fail_msg("%s", err.text);
		same_for(all, one, &ev);
		limiter_free(one);
	}
}

static void
one_story(uint64_t seed, bool authenticated, bool trusted)
{
	struct limiter *live = make(), *seeded = make();
	/* whole seconds: live, time is that of the decision; from the audit,
	 * it is how long ago that was */
	int64_t now_ms = (clock_now_ms() / 1000 - 3000) * 1000;
	struct charge_history h = { .now_ms = 0 };
	struct audit_reader *r;
	struct audit *a = start();
	struct err err;

	random_state = seed;
	cfg->limits.authenticated = authenticated;
	cfg->limits.trusted_networks = trusted;
	for (int i = 0; i < 150; i++) {
		now_ms += random_below(20) * 1000;
		random_message(live, a, now_ms, i);
		if (random_below(40) != 0)
			continue;
		/* what was written comes before it, and what comes later is
		 * later */
		audit_stop(&a);
		a = start();
		now_ms += 1000;
		lift(live, true, users[1 + random_below(3)], now_ms);
		lift(live, false,
		    random_below(2) == 0 ? "192.0.2.1" : "2001:db8:1:1::/64",
		    now_ms);
		now_ms += 1000;
	}
	audit_stop(&a);
	if (audit_open_reader(db, &r, &err) == -1)
		fail_msg("%s", err.text);
	h.now_ms = now_ms;
	h.now_s = now_ms / 1000;
	if (charge_history(seeded, cfg, r, &h, &err) == -1)
		fail_msg("%s", err.text);
	assert_false(h.cut);
	assert_true(h.rows > 100);
	same_of_one(seeded, r, now_ms);
	audit_close_reader(&r);
	same(live, seeded, now_ms / 1000);
	same(live, seeded, now_ms / 1000 + 200);
	limiter_free(live);
	limiter_free(seeded);
	(void)unlink(db);
	char name[120];

	(void)snprintf(name, sizeof(name), "%s-wal", db);
	(void)unlink(name);
	(void)snprintf(name, sizeof(name), "%s-shm", db);
	(void)unlink(name);
}

static void
stories(uint64_t first, uint64_t last)
{
	for (uint64_t seed = first; seed <= last; seed++)
		one_story(seed, seed % 2 == 0, seed % 3 == 0);
}

static void
seeded_as_live(void **state)
{
	(void)state;
	stories(1, 12);
}

/* With the longest window for user_clients, not all of a client's rows are
 * read. */
static void
users_clients_last_longest(void **state)
{
	(void)state;
	stories(13, 72);
	/* red once */
	stories(1158, 1158);
	stories(3062, 3062);
}

static bool
count_row(void *arg, const struct audit_record *rec)
{
	(void)rec;
	++*(int *)arg;
	return true;
}

static int
rows_of(const char *client, const char *of_users, int64_t max, bool *cut)
{
	struct network net;
	struct audit_relayed which = { .rows_max = max, .users = of_users };
	struct audit_reader *r;
	struct err err;
	int n = 0;

	if (client != NULL) {
		assert_true(network_parse(client, &net));
		which.client = &net;
	}
	if (audit_open_reader(db, &r, &err) == -1 ||
	    audit_each_relayed(r, &which, cut, count_row, &n, &err) == -1)
		fail_msg("%s", err.text);
	audit_close_reader(&r);
	return n;
}

static void
filters(void **state)
{
	static const char *const from[] = { "192.0.2.1", "192.0.2.10",
		"2001:db8:1:2::1", "2001:db8:1:2:3::1", "2001:db8:1:22::1" };
	struct limiter *l = make();
	struct audit *a = start();
	bool cut;

	(void)state;
	for (int i = 0; i < 5; i++) {
		const struct moment m = { .at_ms = clock_now_ms(),
			.session = "s",
			.queue_id = "",
			.client = from[i],
			.sender = "",
			.recipient = "x",
			.reason = REASON_RECENT_LOGIN,
			.login_user = i % 2 == 0 ? "even" : "odd",
			.verdict = VERDICT_ACCEPT };

		happen(l, a, &m);
	}
	audit_stop(&a);
	limiter_free(l);
	assert_int_equal(rows_of(NULL, NULL, 100, &cut), 5);
	assert_false(cut);
	assert_int_equal(rows_of("192.0.2.1", NULL, 100, NULL), 1);
	assert_int_equal(rows_of("2001:db8:1:2::/64", NULL, 100, NULL), 2);
	assert_int_equal(rows_of("2001:db8:1:2::1", NULL, 100, NULL), 1);
	/* a part of the group doesn't narrow it, a zero group neither */
	assert_int_equal(rows_of("2001:db8:1:20::/60", NULL, 100, NULL), 3);
	assert_int_equal(rows_of("2001:db8::/64", NULL, 100, NULL), 3);
	assert_int_equal(rows_of(NULL, "even", 100, NULL), 3);
	assert_int_equal(rows_of(NULL, "EVEN", 100, NULL), 3);
	assert_int_equal(rows_of(NULL, "x,odd", 100, NULL), 2);
	assert_int_equal(rows_of(NULL, "' OR 1 --", 100, NULL), 0);
	/* of either */
	assert_int_equal(rows_of("192.0.2.1", "odd", 100, NULL), 3);
	/* the newest, when there are too many */
	assert_int_equal(rows_of(NULL, NULL, 5, &cut), 5);
	assert_false(cut);
	assert_int_equal(rows_of(NULL, NULL, 3, &cut), 3);
	assert_true(cut);
	assert_int_equal(rows_of("192.0.2.1", NULL, 3, &cut), 0);
}

/* Who was denied for a breach is denied after a restart, to the same second: a
 * client, a user by AUTH with all logins, and a user by logins alone. */
static void
denials(void **state)
{
	const int64_t now = clock_now_ms() / 1000, until = now + 600;
	const struct {
		const char *subject;
		bool is_user, by_login;
		int64_t until;
		bool want_auth, want_login; /* of a client the first */
	} rows[] = {
		{ "192.0.2.1", false, false, until, true, false },
		{ "2001:db8:1:1::1", false, false, until, true, false },
		{ "alice", true, false, until, true, true },
		{ "bob", true, true, until, false, true },
		/* over the limit, and not denied for it */
		{ "192.0.2.2", false, false, 0, false, false },
		{ "carol", true, false, 0, false, false },
	};
	char usual[sizeof(db)];
	struct charge_history h = { .now_ms = now * 1000, .now_s = now };
	struct limiter *l = make();
	struct audit_reader *r;
	struct err err;

	(void)state;
	(void)strcpy(usual, db);
	(void)snprintf(db, sizeof(db), "%s/denials.db", dir);
	struct audit *a = start();

	for (size_t i = 0; i < LENGTH(rows); i++)
		audit_breach(a,
		    &(struct audit_breach){ .at_ms = now * 1000,
			.is_user = rows[i].is_user,
			.by_login = rows[i].by_login,
			.subject = rows[i].subject,
			.setting = "client_recipients",
			.allowed = "5/20m",
			.denied_until = rows[i].until });
	audit_stop(&a);
	assert_int_equal(audit_open_reader(db, &r, &err), 0);
	assert_false(limiter_denies(l));
	assert_int_equal(charge_history(l, cfg, r, &h, &err), 0);
	assert_true(limiter_denies(l));
	for (size_t i = 0; i < LENGTH(rows); i++) {
		uint64_t subject[2] = { 0, 0 };
		struct addr client;

		ROW("%s", rows[i].subject);
		if (rows[i].is_user) {
			subject[0] = limiter_user(l, rows[i].subject, false);
			subject[1] = limiter_user(l, rows[i].subject, true);
		} else {
			assert_true(addr_parse_loose(rows[i].subject, &client));
			subject[0] = limiter_client(l, &client);
		}
		for (int k = 0; k < 1 + rows[i].is_user; k++) {
			bool want =
			    k == 0 ? rows[i].want_auth : rows[i].want_login;

			assert_int_equal(
			    limiter_denied(l, subject[k], now), want);
			assert_int_equal(
			    limiter_denied(l, subject[k], until - 1), want);
			assert_false(limiter_denied(l, subject[k], until));
		}
	}
	audit_close_reader(&r);
	limiter_free(l);
	(void)strcpy(db, usual);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(denials, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    seeded_as_live, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    users_clients_last_longest, setup_long, teardown),
		cmocka_unit_test_setup_teardown(filters, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
