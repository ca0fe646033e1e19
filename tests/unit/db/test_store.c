/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/base/err.h"
#include "common/db/store.h"

static char db[128];

static void
remove_db(void)
{
	char name[160];

	(void)unlink(db);
	(void)snprintf(name, sizeof(name), "%s-wal", db);
	(void)unlink(name);
	(void)snprintf(name, sizeof(name), "%s-shm", db);
	(void)unlink(name);
}

static struct store *
open_store(enum store_mode mode)
{
	struct store *st;
	struct err err;

	if (store_open(db, mode, &st, &err) == -1)
		fail_msg("%s", err.text);
	return st;
}

static void
put(struct store *st, const char *client, const char *user, int64_t at,
    int64_t expires_at)
{
	static const struct store_evidence ev = { .source = "test",
		.position = 7,
		.line = "a \x1b line",
		.line_len = 8 };
	struct login login = {
		.at = at, .service = "imap", .server = "dovecot"
	};
	struct network net;
	struct err err;

	assert_true(network_parse(client, &net));
	login.client = net.base;
	(void)snprintf(login.user, sizeof(login.user), "%s", user);
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(
	    store_login(st, &login, &net, expires_at, &ev, &err), 0);
	assert_int_equal(store_commit(st, &err), 0);
}

static struct store_lookup
look(struct store *st, const char *client, uint8_t prefix, int64_t now)
{
	struct store_lookup out;
	struct addr addr;
	struct err err;

	assert_true(addr_parse_loose(client, &addr));
	if (store_lookup(st, &addr, "mallory", prefix, now, &out, &err) == -1)
		fail_msg("%s", err.text);
	return out;
}

static void
lookups(void **state)
{
	struct store *w = open_store(STORE_WRITE);
	struct store *r = open_store(STORE_READ);
	struct store_lookup got;

	(void)state;
	got = look(r, "192.0.2.1", 128, 100);
	assert_false(got.active);
	assert_int_equal(got.expires_at, 0);

	/* seen by the very next look-up of another connection */
	put(w, "192.0.2.1", "alice", 100, 200);
	got = look(r, "192.0.2.1", 128, 199);
	assert_true(got.active);
	assert_int_equal(got.users, 1);
	assert_string_equal(got.user, "alice");
	assert_int_equal(got.last_at, 100);
	/* expiry is tested here, whatever a cleaner does */
	got = look(r, "192.0.2.1", 128, 200);
	assert_false(got.active);
	assert_int_equal(got.expires_at, 200);

	/* expiry never goes back, and a late line shortens nothing */
	put(w, "192.0.2.1", "alice", 50, 150);
	got = look(r, "192.0.2.1", 128, 199);
	assert_true(got.active);
	assert_int_equal(got.last_at, 100);

	/* two users: never a guess which */
	put(w, "192.0.2.1", "bob", 120, 220);
	got = look(r, "192.0.2.1", 128, 150);
	assert_int_equal(got.users, 2);
	assert_int_equal(got.expires_at, 220);
	got = look(r, "192.0.2.1", 128, 210);
	assert_int_equal(got.users, 1);
	assert_string_equal(got.user, "bob");

	/* the neighbour, and IPv4-mapped text */
	assert_false(look(r, "192.0.2.2", 128, 150).active);
	assert_false(look(r, "192.0.2.10", 128, 150).active);
	assert_true(look(r, "::ffff:192.0.2.1", 128, 150).active);

	/* a lease of a whole IPv6 prefix */
	put(w, "2001:db8:1:2::/64", "carol", 100, 200);
	assert_true(look(r, "2001:db8:1:2::99", 64, 150).active);
	assert_false(look(r, "2001:db8:1:3::99", 64, 150).active);
	assert_false(look(r, "2001:db8:1:2::99", 128, 150).active);
	store_close(&r);
	store_close(&w);
	assert_null(w);
}

static void
admin_entries(void **state)
{
	struct store *w = open_store(STORE_WRITE);
	struct store_row row = { .client = "10.1.0.0/16",
		.user = "",
		.service = "manual",
		.server = "popgatectl",
		.first_at = 1,
		.last_at = 1,
		.expires_at = STORE_FOREVER,
		.count = 0 };
	struct err err;

	(void)state;
	assert_int_equal(store_set(w, &row, &err), 0);
	assert_true(look(w, "10.1.255.9", 128, 1000).active);
	assert_false(look(w, "10.2.0.1", 128, 1000).active);
	assert_int_equal(store_delete(w, "10.1.0.0/16", 1, &err), 1);
	assert_int_equal(store_delete(w, "10.1.0.0/16", 1, &err), 0);
	assert_false(look(w, "10.1.255.9", 128, 1000).active);
	store_close(&w);
}

static void
deny(struct store *w, const char *subject, bool is_user, int64_t expires_at)
{
	const struct store_deny d = { .subject = subject,
		.is_user = is_user,
		.created_at = 1,
		.expires_at = expires_at,
		.reason = "spam" };
	struct err err;

	assert_int_equal(store_deny_set(w, &d, &err), 0);
}

static void
denials(void **state)
{
	struct store *w = open_store(STORE_WRITE);
	struct store_lookup got;
	struct err err;

	(void)state;
	put(w, "192.0.2.1", "alice", 100, 200);
	deny(w, "192.0.2.0/28", false, 150);
	assert_true(look(w, "192.0.2.1", 128, 149).denied);
	assert_false(look(w, "192.0.2.1", 128, 150).denied); /* its end */
	assert_false(look(w, "192.0.2.16", 128, 149).denied);
	deny(w, "192.0.2.9", false, 300);
	assert_true(look(w, "192.0.2.9", 128, 299).denied);
	/* a user's login doesn't count; somebody else's from there does */
	deny(w, "alice", true, 300);
	got = look(w, "192.0.2.1", 128, 160);
	assert_false(got.active);
	assert_true(got.login_denied);
	assert_false(got.denied);
	put(w, "192.0.2.1", "bob", 100, 200);
	got = look(w, "192.0.2.1", 128, 160);
	assert_true(got.active);
	assert_false(got.login_denied);
	assert_string_equal(got.user, "bob");
	assert_int_equal(got.users, 1);
	/* who authenticated; an address is no user, and the other way round */
	deny(w, "mallory", false, 300);
	assert_false(look(w, "192.0.2.77", 128, 160).denied);
	deny(w, "mallory", true, 300);
	assert_true(look(w, "192.0.2.77", 128, 160).denied);
	assert_int_equal(store_deny_delete(w, "mallory", true, &err), 1);
	assert_false(look(w, "192.0.2.77", 128, 160).denied);
	store_close(&w);
}

static bool
note_user(void *arg, const char *user)
{
	(void)strcat(strcat(arg, user), ";");
	return true;
}

static const char *
users_of(struct store *st, const char *client, int64_t now)
{
	static char text[200];
	struct addr addr;
	struct err err;

	text[0] = '\0';
	assert_true(addr_parse_loose(client, &addr));
	assert_int_equal(
	    store_each_user(st, &addr, 128, now, note_user, text, &err), 0);
	return text;
}

/* A denial isn't dodged by writing a name in another case; and whose logins
 * count is told without those denied. */
static void
denied_in_any_case(void **state)
{
	struct store *w = open_store(STORE_WRITE);
	struct err err;

	(void)state;
	put(w, "192.0.2.1", "Alice", 100, 200);
	put(w, "192.0.2.2", "ALICE", 100, 200);
	put(w, "192.0.2.2", "bob", 100, 200);
	put(w, "192.0.2.2", "eve", 100, 150);
	assert_string_equal(users_of(w, "192.0.2.2", 149), "ALICE;bob;eve;");
	assert_string_equal(users_of(w, "192.0.2.2", 150), "ALICE;bob;");
	deny(w, "aLice", true, 300);
	assert_true(look(w, "192.0.2.1", 128, 160).login_denied);
	assert_false(look(w, "192.0.2.1", 128, 160).active);
	assert_string_equal(look(w, "192.0.2.2", 128, 160).user, "bob");
	assert_string_equal(users_of(w, "192.0.2.2", 149), "bob;eve;");
	assert_int_equal(store_deny_delete(w, "ALICE", true, &err), 1);
	assert_true(look(w, "192.0.2.1", 128, 160).active);
	deny(w, "Mallory", true, 300); /* who asks is mallory */
	assert_true(look(w, "192.0.2.77", 128, 160).denied);
	store_close(&w);
}

/* The address families that people log in by. */
static void
families(void **state)
{
	struct store *w = open_store(STORE_WRITE);
	struct store_event e = { .at = 100,
		.client = "192.0.2.1",
		.user = "u",
		.service = "",
		.server = "",
		.source = "file:/x",
		.line = "" };
	bool four, six;
	struct err err;

	(void)state;
	assert_int_equal(store_families(w, 0, &four, &six, &err), 0);
	assert_false(four || six);
	assert_int_equal(store_event_add(w, &e, &err), 0);
	assert_int_equal(store_families(w, 99, &four, &six, &err), 0);
	assert_true(four && !six);
	assert_int_equal(store_families(w, 100, &four, &six, &err), 0);
	assert_false(four || six);
	e.client = "2001:db8::/64";
	assert_int_equal(store_event_add(w, &e, &err), 0);
	assert_int_equal(store_families(w, 99, &four, &six, &err), 0);
	assert_true(four && six);
	store_close(&w);
}

/* A reader that knows that there are neither denies nor networks must notice
 * the first one at its very next look-up, and the end of the last one. */
static void
first_of_its_kind(void **state)
{
	struct store *w = open_store(STORE_WRITE);
	struct store *r;
	struct store_row row = { .client = "192.0.2.0/24",
		.user = "",
		.service = "",
		.server = "popgatectl",
		.expires_at = 300 };
	struct err err;

	(void)state;
	put(w, "192.0.2.1", "alice", 100, 200);
	r = open_store(STORE_READ);
	for (int i = 0; i < 3; i++) {
		assert_true(look(r, "192.0.2.1", 128, 150).active);
		assert_false(look(r, "192.0.2.2", 128, 150).active);
		assert_int_equal(store_set(w, &row, &err), 0);
		assert_true(look(r, "192.0.2.2", 128, 150).active);
		assert_int_equal(store_delete(w, row.client, 1, &err), 1);
		assert_false(look(r, "192.0.2.2", 128, 150).active);
		deny(w, "alice", true, 300);
		assert_true(look(r, "192.0.2.1", 128, 150).login_denied);
		assert_int_equal(store_deny_delete(w, "alice", true, &err), 1);
		deny(w, "192.0.2.0/28", false, 300);
		assert_true(look(r, "192.0.2.1", 128, 150).denied);
		assert_int_equal(
		    store_deny_delete(w, "192.0.2.0/28", false, &err), 1);
	}
	store_close(&r);
	store_close(&w);
}

/* Equal versions promise that nothing was committed in between. */
static void
versions(void **state)
{
	struct store *w = open_store(STORE_WRITE), *r;
	struct store_version before, after;
	struct err err;

	(void)state;
	put(w, "192.0.2.1", "alice", 100, 200);
	r = open_store(STORE_READ);
	assert_false(store_version(r, &before));
	(void)look(r, "192.0.2.1", 128, 150);
	assert_true(store_version(r, &before));
	(void)look(r, "192.0.2.1", 128, 150);
	assert_true(store_version(r, &after));
	assert_memory_equal(&before, &after, sizeof(before));
	/* seen without a look-up by this connection, rolled back ones not */
	assert_int_equal(store_begin(w, &err), 0);
	assert_int_equal(store_delete(w, "192.0.2.1", 1, &err), 1);
	assert_true(store_version(r, &after));
	assert_memory_equal(&before, &after, sizeof(before));
	store_rollback(w);
	assert_true(store_version(r, &after));
	assert_memory_equal(&before, &after, sizeof(before));
	for (int i = 0; i < 5; i++) {
		deny(w, "192.0.2.9", false, 300 + i);
		assert_true(store_version(r, &after));
		assert_memory_not_equal(&before, &after, sizeof(before));
		before = after;
	}
	store_close(&r);
	store_close(&w);
}

/* Users are counted while their logins count, whoever denied them; an admin's
 * entry and an old address form of the same user are no further users. */
static void
sharing(void **state)
{
	struct store *w = open_store(STORE_WRITE);
	struct store_row row = { .client = "192.0.2.0/28",
		.user = "",
		.service = "manual",
		.server = "popgatectl",
		.expires_at = 900 };
	struct store_lookup got;
	int64_t users;
	struct err err;

	(void)state;
	for (int i = 0; i < 5; i++) {
		char user[2] = { (char)('a' + i), '\0' };

		put(w, "192.0.2.1", user, 100, 200 + i);
		put(w, "2001:db8::/64", user, 100, 200 + i);
		put(w, "2001:db8::1", user, 100, 200 + i);
	}
	put(w, "192.0.2.1", "a", 100, 200); /* again */
	put(w, "192.0.2.2", "z", 100, 300); /* the neighbour */
	got = look(w, "192.0.2.1", 128, 199);
	assert_int_equal(got.sharing, 5);
	assert_int_equal(got.users, 2);
	assert_false(got.manual);
	assert_int_equal(look(w, "2001:db8::1", 64, 199).sharing, 5);
	assert_int_equal(look(w, "2001:db8::1", 128, 199).sharing, 5);
	assert_int_equal(look(w, "2001:db8::2", 128, 199).sharing, 0);
	/* as time goes by */
	assert_int_equal(look(w, "192.0.2.1", 128, 202).sharing, 2);
	assert_int_equal(look(w, "192.0.2.1", 128, 204).sharing, 0);
	assert_int_equal(
	    store_sharing(w, "192.0.2.1", 202, 100, &users, &err), 0);
	assert_int_equal(users, 2);
	/* a denied one is one of them all the same */
	deny(w, "a", true, 300);
	assert_int_equal(look(w, "192.0.2.1", 128, 199).sharing, 5);
	/* an admin's entries are none */
	assert_int_equal(store_set(w, &row, &err), 0);
	got = look(w, "192.0.2.1", 128, 199);
	assert_true(got.manual);
	assert_int_equal(got.sharing, 5);
	row.client = "192.0.2.1";
	row.expires_at = 150;
	assert_int_equal(store_set(w, &row, &err), 0);
	assert_int_equal(look(w, "192.0.2.1", 128, 149).sharing, 5);
	assert_int_equal(
	    store_sharing(w, "192.0.2.1", 149, 100, &users, &err), 0);
	assert_int_equal(users, 5);
	store_close(&w);
}

/* One user who logs in under many spellings is one, and shares an address with
 * nobody. (What has a domain may be somebody else.) */
static void
spellings(void **state)
{
	static const char *const names[] = { "mallory", "Mallory", "mALLORY",
		"MAllory", "malLORY", "MALLORY" };
	struct store *w = open_store(STORE_WRITE);
	struct store_row row = { .client = "192.0.2.1",
		.user = "",
		.service = "manual",
		.server = "popgatectl",
		.expires_at = 900 };
	struct store_lookup got;
	int64_t users;
	struct err err;

	(void)state;
	for (size_t i = 0; i < LENGTH(names); i++)
		put(w, "192.0.2.1", names[i], 100, 200 + (int64_t)i);
	got = look(w, "192.0.2.1", 128, 150);
	assert_int_equal(got.sharing, 1);
	assert_int_equal(got.users, 1);
	assert_int_equal(got.rows, 2);
	assert_string_equal(got.login_users, "MALLORY");
	assert_int_equal(
	    store_sharing(w, "192.0.2.1", 150, 100, &users, &err), 0);
	assert_int_equal(users, 1);
	put(w, "192.0.2.1", "victor", 100, 250);
	put(w, "192.0.2.1", "mallory@lab.test", 100, 240);
	got = look(w, "192.0.2.1", 128, 150);
	assert_int_equal(got.sharing, 3);
	assert_int_equal(got.users, 2);
	/* the newest first */
	assert_string_equal(got.login_users, "victor,mallory@lab.test,MALLORY");
	/* somebody denied lets nobody relay */
	deny(w, "victor", true, 900);
	got = look(w, "192.0.2.1", 128, 150);
	assert_string_equal(got.login_users, "mallory@lab.test,MALLORY");
	/* nobody by name doesn't free those who have one */
	put(w, "192.0.2.1", "", 100, 800);
	got = look(w, "192.0.2.1", 128, 150);
	assert_string_equal(got.login_users, "mallory@lab.test,MALLORY");
	assert_int_equal(got.users, 2);
	assert_string_equal(look(w, "192.0.2.1", 128, 700).login_users, "");
	/* what an admin entered is nobody's */
	assert_int_equal(store_set(w, &row, &err), 0);
	got = look(w, "192.0.2.1", 128, 150);
	assert_true(got.active);
	assert_string_equal(got.login_users, "");
	store_close(&w);
}

/* A client with very many rows: whatever of them has ended, what counts is
 * found, and of that no more is read than decides. */
static void
crowded(void **state)
{
	struct store *w = open_store(STORE_WRITE);
	struct store_lookup got;
	int64_t users;
	char name[40];
	struct err err;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "u%04d", i);
		put(w, "192.0.2.1", name, 100, i < 2000 ? 200 : 300);
	}
	got = look(w, "192.0.2.1", 128, 150);
	assert_true(got.active && got.crowded);
	assert_int_equal(got.sharing, STORE_ROWS_CROWD);
	assert_int_equal(userlist_count(got.login_users), USERLIST_USERS);
	/* the first that count are behind many that don't */
	got = look(w, "192.0.2.1", 128, 250);
	assert_true(got.active);
	assert_int_equal(got.expires_at, 300);
	assert_int_equal(
	    store_sharing(w, "192.0.2.1", 250, 2000, &users, &err), 0);
	assert_int_equal(users, 2000);
	assert_int_equal(
	    store_sharing(w, "192.0.2.1", 250, 9000, &users, &err), 0);
	assert_int_equal(users, 3000);
	/* none of them: when it was is said all the same */
	got = look(w, "192.0.2.1", 128, 900);
	assert_false(got.active);
	assert_int_equal(got.last_at, 100);
	assert_true(got.expires_at >= 200);
	deny(w, "u4999", true, 900);
	assert_true(look(w, "192.0.2.1", 128, 250).active);
	store_close(&w);
}

/* The names that are charged: eight, the newest, of any text. */
static void
many_users(void **state)
{
	struct store *w = open_store(STORE_WRITE);
	struct store_lookup got;
	char name[40];

	(void)state;
	for (int i = 0; i < 40; i++) {
		(void)snprintf(name, sizeof(name), "u%d", i * 7 % 40);
		put(w, "192.0.2.1", name, 100, 200 + i * 7 % 40);
	}
	got = look(w, "192.0.2.1", 128, 150);
	assert_int_equal(got.sharing, 40);
	assert_false(got.crowded);
	assert_string_equal(got.login_users, "u39,u38,u37,u36,u35,u34,u33,u32");
	put(w, "192.0.2.2", "a,b c", 100, 200);
	assert_string_equal(
	    look(w, "192.0.2.2", 128, 150).login_users, "a;b c");
	store_close(&w);
}

static bool
count_row(void *arg, const struct store_row *row)
{
	assert_non_null(row->client);
	++*(int *)arg;
	return true;
}

static bool
check_event(void *arg, const struct store_event *event)
{
	++*(int *)arg;
	assert_string_equal(event->line, "a \\x1b line");
	assert_int_equal(event->position, 7);
	return true;
}

static void
history_and_expiry(void **state)
{
	struct store *w = open_store(STORE_WRITE);
	char client[32], cursor[NETWORK_TEXT_MAX] = "";
	int n = 0, events = 0, deleted = 0, rounds = 0;
	struct err err;

	(void)state;
	for (int i = 0; i < 100; i++) {
		(void)snprintf(client, sizeof(client), "198.51.100.%d", i);
		put(w, client, "u", 10 + i, 10 + i);
	}
	assert_int_equal(
	    store_each_row(w, NULL, NULL, INT64_MIN, count_row, &n, &err), 0);
	assert_int_equal(n, 100);
	assert_int_equal(
	    store_each_event(w, "198.51.100.7", 10, check_event, &events, &err),
	    0);
	assert_int_equal(events, 1);
	do {
		int got = store_expire(w, 60, 7, cursor, &err);

		assert_true(got >= 0);
		deleted += got;
		rounds++;
	} while (cursor[0] != '\0');
	assert_int_equal(deleted, 50);
	assert_true(rounds > 7);
	n = 0;
	assert_int_equal(
	    store_each_row(w, NULL, NULL, INT64_MIN, count_row, &n, &err), 0);
	assert_int_equal(n, 50);
	assert_int_equal(store_prune_events(w, 60, 20, &err), 20);
	assert_int_equal(store_prune_events(w, 60, 1000, &err), 30);
	assert_int_equal(store_prune_events(w, 60, 1000, &err), 0);
	store_close(&w);
}

static bool
copy_times(void *arg, const struct store_row *row)
{
	*(struct store_row *)arg = *row;
	return true;
}

/* Logins by a clock that was ahead. */
static void
future(void **state)
{
	enum { AT = 1000, WINDOW = 1800, LATEST = AT + 300 };
	static const struct {
		const char *client, *server;
		int64_t first_at, last_at, expires_at;
		int64_t want_first, want_last, want_expires;
	} rows[] = {
		{ "192.0.2.1", "dovecot", 5, LATEST, LATEST + WINDOW, 5, LATEST,
		    LATEST + WINDOW },
		{ "192.0.2.2", "dovecot", 5, LATEST + 1, LATEST + 1 + WINDOW, 5,
		    AT, AT + WINDOW },
		{ "192.0.2.3", "courier", 90000, 90000, 90000 + WINDOW, AT, AT,
		    AT + WINDOW },
		/* the window was shorter then */
		{ "192.0.2.4", "courier", LATEST + 1, LATEST + 1, LATEST + 61,
		    AT, AT, LATEST + 61 },
		{ "192.0.2.5", "popgatectl", 90000, 90000, 99000, 90000, 90000,
		    99000 },
		/* a longer window, no clock */
		{ "192.0.2.6", "dovecot", 5, AT, 99000, 5, AT, 99000 },
	};
	struct store *w = open_store(STORE_WRITE);
	struct err err;

	(void)state;
	assert_int_equal(store_begin(w, &err), 0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].client);
		const struct store_row row = { .client = rows[i].client,
			.user = "u",
			.service = "imap",
			.server = rows[i].server,
			.first_at = rows[i].first_at,
			.last_at = rows[i].last_at,
			.expires_at = rows[i].expires_at,
			.count = 1 };

		assert_int_equal(store_set(w, &row, &err), 0);
	}
	assert_int_equal(store_cap_future(w, AT, LATEST, WINDOW, &err), 3);
	assert_int_equal(store_cap_future(w, AT, LATEST, WINDOW, &err), 0);
	assert_int_equal(store_commit(w, &err), 0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].client);
		struct store_row got = { 0 };

		assert_int_equal(store_each_row(w, rows[i].client, NULL,
				     INT64_MIN, copy_times, &got, &err),
		    0);
		assert_int_equal(got.first_at, rows[i].want_first);
		assert_int_equal(got.last_at, rows[i].want_last);
		assert_int_equal(got.expires_at, rows[i].want_expires);
	}
	store_close(&w);
}

struct heard {
	int n;
	int64_t last_at;
};

static bool
hear(void *arg, const char *source, const char *server, int64_t last_at)
{
	struct heard *h = arg;

	assert_string_equal(source, "file:/x");
	assert_string_equal(server, "dovecot");
	h->n++;
	h->last_at = last_at;
	return true;
}

static void
count_at(struct store *w, const char *reason, int64_t at)
{
	const struct store_count more = { .source = "file:/x",
		.server = "dovecot",
		.reason = reason,
		.lines = 1,
		.first_at = at,
		.last_at = at + 1,
		.sample = "" };
	struct err err;

	assert_int_equal(store_count_add(w, &more, 0, &err), 0);
}

static bool
is_quiet(struct store *w, int64_t now)
{
	struct heard h = { 0 };
	struct err err;

	assert_int_equal(store_each_quiet(w, now, hear, &h, &err), 0);
	return h.n == 1;
}

/* A server of whom nothing is heard any more. */
static void
quiet(void **state)
{
	enum { HOUR = 3600, DAY = 24 * HOUR, AT = 100 * DAY };
	struct store *w = open_store(STORE_WRITE);

	(void)state;
	count_at(w, "not-a-login", AT);
	assert_false(is_quiet(w, AT + 2 * DAY)); /* it never had a login */
	count_at(w, "login", AT);
	assert_false(is_quiet(w, AT + DAY));
	assert_true(is_quiet(w, AT + DAY + 1));
	/* known for a day, and never silent for long */
	for (int64_t at = AT; at <= AT + DAY; at += HOUR / 4)
		count_at(w, "login", at);
	assert_false(is_quiet(w, AT + DAY + 2 * HOUR));
	assert_true(is_quiet(w, AT + DAY + 2 * HOUR + 1));
	/* any line is one */
	count_at(w, "failed-login", AT + DAY + HOUR);
	assert_false(is_quiet(w, AT + DAY + 2 * HOUR + 1));
	/* a night of nine hours, a second less */
	count_at(w, "login", AT + DAY + 9 * HOUR);
	assert_false(is_quiet(w, AT + DAY + 9 * HOUR + 36 * HOUR - 4));
	assert_true(is_quiet(w, AT + DAY + 9 * HOUR + 36 * HOUR - 3));
	/* it won't come back */
	assert_true(is_quiet(w, AT + 9 * DAY));
	assert_false(is_quiet(w, AT + 10 * DAY));
	store_close(&w);
}

static void
sources(void **state)
{
	struct store *w = open_store(STORE_WRITE);
	static struct store_source src = { .name = "file:/x",
		.device = 9,
		.inode = UINT64_MAX,
		.position = 5,
		.fingerprint = "ab",
		.read_at = 77,
		.line_at = 66 };
	static struct store_source got;
	struct err err;
	int64_t oldest = -1;

	(void)state;
	assert_int_equal(store_sources_read_at(w, &oldest, &err), 0);
	assert_int_equal(oldest, 0);
	assert_int_equal(store_source_save(w, &src, &err), 0);
	(void)strcpy(src.name, "file:/y");
	src.read_at = 55;
	assert_int_equal(store_source_save(w, &src, &err), 0);
	assert_int_equal(store_sources_read_at(w, &oldest, &err), 0);
	assert_int_equal(oldest, 55);
	/* not "no collector": it has read others */
	(void)strcpy(src.name, "file:/y");
	src.read_at = 0;
	assert_int_equal(store_source_save(w, &src, &err), 0);
	assert_int_equal(store_sources_read_at(w, &oldest, &err), 0);
	assert_int_equal(oldest, STORE_NEVER_READ);
	assert_int_equal(store_source_find(w, "file:/x", &got, &err), 1);
	assert_true(got.inode == UINT64_MAX);
	assert_int_equal(got.device, 9);
	assert_string_equal(got.fingerprint, "ab");
	assert_int_equal(store_source_find(w, "file:/z", &got, &err), 0);
	assert_int_equal(store_source_delete(w, "file:/y", &err), 0);
	assert_int_equal(store_sources_read_at(w, &oldest, &err), 0);
	assert_int_equal(oldest, 77);
	store_close(&w);
}

static void
write_file(const char *text)
{
	FILE *out = fopen(db, "w");

	assert_non_null(out);
	(void)fputs(text, out);
	(void)fclose(out);
}

/* None of these may pass for an empty table. */
static void
unusable(void **state)
{
	struct store *st;
	struct err err;
	static char garbage[9000];

	(void)state;
	assert_int_equal(store_open(db, STORE_READ, &st, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_non_null(strstr(err.text, db));
	assert_int_equal(store_open(db, STORE_MODIFY, &st, &err), -1);
	assert_int_equal(access(db, F_OK), -1); /* and not created */

	write_file("");
	assert_int_equal(store_open(db, STORE_READ, &st, &err), -1);
	assert_int_equal(err.code, ERR_EMPTY);

	memset(garbage, 'x', sizeof(garbage) - 1);
	garbage[sizeof(garbage) - 1] = '\0';
	write_file(garbage);
	assert_int_equal(store_open(db, STORE_READ, &st, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_int_equal(store_open(db, STORE_WRITE, &st, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	remove_db();

	/* a file of a newer popgate */
	st = open_store(STORE_WRITE);
	store_close(&st);
	FILE *f = fopen(db, "r+");

	assert_non_null(f);
	(void)fseek(f, 60, SEEK_SET); /* user_version, big-endian */
	(void)fwrite("\0\0\1\0", 1, 4, f);
	(void)fclose(f);
	char wal[160];

	(void)snprintf(wal, sizeof(wal), "%s-wal", db);
	(void)unlink(wal);
	(void)snprintf(wal, sizeof(wal), "%s-shm", db);
	(void)unlink(wal);
	assert_int_equal(store_open(db, STORE_READ, &st, &err), -1);
	assert_int_equal(err.code, ERR_VERSION);
	assert_int_equal(store_open(db, STORE_WRITE, &st, &err), -1);
	assert_int_equal(err.code, ERR_VERSION);
}

/* A writer that was killed in mid-transaction leaves nothing of it. */
static void
killed_writer(void **state)
{
	struct store *st = open_store(STORE_WRITE);
	struct err err;

	(void)state;
	put(st, "192.0.2.1", "alice", 1, 100);
	store_close(&st);
	pid_t pid = fork();

	if (pid == 0) {
		struct login login = { .at = 1 };
		struct network net;

		if (store_open(db, STORE_WRITE, &st, &err) == -1 ||
		    store_begin(st, &err) == -1)
			_exit(1);
		(void)network_parse("192.0.2.2", &net);
		if (store_login(st, &login, &net, 100, NULL, &err) == -1)
			_exit(1);
		(void)kill(getpid(), SIGKILL);
	}
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	st = open_store(STORE_READ);
	assert_true(look(st, "192.0.2.1", 128, 50).active);
	assert_false(look(st, "192.0.2.2", 128, 50).active);
	store_close(&st);
}

/* Texts of rows, in the order in which they came. */
static bool
join_row(void *arg, const struct store_row *row)
{
	(void)strcat(strcat(arg, " "), row->client);
	return strlen(arg) < 400;
}

static void
walks(void **state)
{
	static const struct {
		const char *network, *want;
	} rows[] = {
		{ "10.1.0.0/16", " 10.1.0.1 10.1.9.9 10.0.0.0/8" },
		{ "10.1.9.9", " 10.1.9.9 10.0.0.0/8" },
		/* its text ends within an octet: the caller's part */
		{ "10.1.8.0/23", " 10.1.0.1 10.1.9.9 10.0.0.0/8" },
		{ "10.0.0.0/8", " 10.0.0.0/8 10.1.0.1 10.1.9.9 10.10.0.1" },
		{ "172.16.0.0/12", " 10.0.0.0/8" },
		{ "2001:db8::/32",
		    " 10.0.0.0/8 10.1.0.1 10.1.9.9 10.10.0.1 "
		    "100.1.0.1 2001:db8::1" },
	};
	static const struct store_row manual = { .client = "10.0.0.0/8",
		.user = "",
		.service = "manual",
		.server = "popgatectl",
		.expires_at = 1000,
		.count = 1 };
	struct store *st = open_store(STORE_WRITE);
	struct network net;
	struct err err;
	char got[512];

	(void)state;
	put(st, "10.1.0.1", "a", 1, 100);
	put(st, "10.1.9.9", "a", 1, 300);
	put(st, "10.10.0.1", "a", 1, 200);
	put(st, "100.1.0.1", "a", 1, 50);
	put(st, "2001:db8::1", "a", 1, 400);
	assert_int_equal(store_set(st, &manual, &err), 0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].network);
		got[0] = '\0';
		assert_true(network_parse(rows[i].network, &net));
		assert_int_equal(
		    store_each_within(st, &net, join_row, got, &err), 0);
		assert_string_equal(got, rows[i].want);
	}
	got[0] = '\0';
	assert_int_equal(
	    store_each_recent(st, 100, 400, join_row, got, &err), 0);
	assert_string_equal(got, " 2001:db8::1 10.1.9.9 10.10.0.1");
	got[0] = '\0';
	assert_int_equal(
	    store_each_row(st, NULL, NULL, 200, join_row, got, &err), 0);
	assert_string_equal(got, " 10.0.0.0/8 10.1.9.9 2001:db8::1");
	store_close(&st);
}

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(db, sizeof(db), "%s/logins.db", unit_memory_dir());
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	remove_db();
	*strrchr(db, '/') = '\0';
	return rmdir(db);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(lookups),
		TEST(admin_entries),
		TEST(denials),
		TEST(denied_in_any_case),
		TEST(families),
		TEST(first_of_its_kind),
		TEST(versions),
		TEST(sharing),
		TEST(spellings),
		TEST(many_users),
		TEST(crowded),
		TEST(history_and_expiry),
		TEST(walks),
		TEST(future),
		TEST(quiet),
		TEST(sources),
		TEST(unusable),
		TEST(killed_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
