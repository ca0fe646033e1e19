/* SPDX-License-Identifier: ISC */
/* The login table when memory is short: whoever asks it gets the whole answer
 * or a failure, and what was written is there when it was said to be. */
#include "tests/unit/short_memory.h"

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/db/store.h"

enum { NOW = 1000 };

static char dir[64], db[96];

static const struct store_evidence evidence = {
	.source = "test", .line = "x", .line_len = 1
};

static int
write_login(struct store *st, const char *client, const char *user,
    int64_t until, struct err *err)
{
	struct login login = {
		.at = 900, .service = "imap", .server = "dovecot"
	};
	struct network net;

	assert_true(network_parse(client, &net));
	login.client = net.base;
	(void)snprintf(login.user, sizeof(login.user), "%s", user);
	return store_login(st, &login, &net, until, &evidence, err);
}

static int
table(void **state)
{
	static const char *const denied[] = { "192.0.2.66", "198.51.100.0/24" };
	struct store *st;
	struct err err;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_memory_dir());
	(void)snprintf(db, sizeof(db), "%s/logins.db", dir);
	assert_int_equal(store_open(db, STORE_WRITE, &st, &err), 0);
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(write_login(st, "192.0.2.1", "alice", 2000, &err), 0);
	assert_int_equal(write_login(st, "192.0.2.1", "bob", 2000, &err), 0);
	assert_int_equal(write_login(st, "192.0.2.1", "old", 950, &err), 0);
	assert_int_equal(write_login(st, "192.0.2.66", "alice", 2000, &err), 0);
	assert_int_equal(
	    write_login(st, "198.51.100.7", "alice", 2000, &err), 0);
	assert_int_equal(
	    write_login(st, "2001:db8:1::/64", "carol", 2000, &err), 0);
	for (size_t i = 0; i < LENGTH(denied); i++) {
		const struct store_deny deny = { .subject = denied[i],
			.created_at = 900,
			.expires_at = STORE_FOREVER,
			.reason = "test" };

		assert_int_equal(store_deny_set(st, &deny, &err), 0);
	}
	assert_int_equal(store_commit(st, &err), 0);
	store_close(&st);
	return 0;
}

static int
no_table(void **state)
{
	(void)state;
	return unit_remove(dir);
}

/* Of a denied client no answer lacks that, of others none has more or fewer
 * users than there are. */
static bool
ask_all(void *arg)
{
	static const struct {
		const char *client;
		bool active, denied;
		unsigned sharing;
	} rows[] = {
		{ "192.0.2.1", true, false, 2 },
		{ "192.0.2.2", false, false, 0 },
		{ "192.0.2.66", true, true, 1 },
		{ "198.51.100.7", true, true, 1 },
		{ "2001:db8:1::5", true, false, 1 },
	};
	struct store *st;
	struct err err;
	bool ok = true;

	(void)arg;
	if (store_open(db, STORE_READ, &st, &err) == -1)
		return false;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct store_lookup got;
		struct addr client;

		assert_true(addr_parse_loose(rows[i].client, &client));
		int ret = store_lookup(st, &client, "", 64, NOW, &got, &err);

		assert_true(ret == 0 || ret == -1);
		ok &= ret == 0;
		if (ret == -1)
			continue;
		ROW("%s", rows[i].client);
		assert_int_equal(got.active, rows[i].active);
		assert_int_equal(got.denied, rows[i].denied);
		assert_int_equal(got.sharing, rows[i].sharing);
	}
	store_close(&st);
	return ok;
}

static void
asking(void **state)
{
	(void)state;
	short_memory_fails_often(ask_all, NULL, 10);
}

/* Which of the logins that are written there are. */
static bool
is_there(const char *user)
{
	struct store_lookup got;
	struct addr client;
	struct store *st;
	struct err err;

	assert_true(addr_parse_loose("203.0.113.5", &client));
	assert_int_equal(store_open(db, STORE_READ, &st, &err), 0);
	assert_int_equal(store_lookup(st, &client, "", 64, NOW, &got, &err), 0);
	store_close(&st);
	return strstr(got.login_users, user) != NULL;
}

/* A login and what undoes it: each is in the table when it was committed, and
 * else isn't. */
static bool
write_and_delete(void *arg)
{
	struct store *st;
	struct err err;
	bool ok, committed = false;

	(void)arg;
	if (store_open(db, STORE_WRITE, &st, &err) == -1)
		return false;
	ok = store_begin(st, &err) == 0;
	if (ok) {
		ok = write_login(st, "203.0.113.5", "dave", 2000, &err) == 0;
		committed = ok && store_commit(st, &err) == 0;
		if (!committed)
			store_rollback(st);
	}
	store_close(&st);
	bool counted = short_memory.counts;

	/* what the world says has memory enough */
	short_memory.counts = false;
	assert_int_equal(is_there("dave"), committed);
	if (committed) {
		assert_int_equal(store_open(db, STORE_WRITE, &st, &err), 0);
		assert_int_equal(store_begin(st, &err), 0);
		assert_int_equal(
		    store_delete(st, "203.0.113.5", 800, &err) >= 0, 1);
		assert_int_equal(store_commit(st, &err), 0);
		store_close(&st);
		assert_false(is_there("dave"));
	}
	short_memory.counts = counted;
	return committed;
}

static void
writing(void **state)
{
	(void)state;
	short_memory_fails_often(write_and_delete, NULL, 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asking),
		cmocka_unit_test(writing),
	};

	return cmocka_run_group_tests(tests, table, no_table);
}
