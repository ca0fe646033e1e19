/* SPDX-License-Identifier: ISC */
/* Sessions in logins.db: until when do logins count? */
#include "tests/unit/unit.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "common/base/err.h"
#include "common/db/store.h"

enum { WINDOW = 100, MAX = 1000 };

static char dir[64];

static struct store *
open_store(const char *name)
{
	struct store *st;
	struct err err;
	char path[100];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (store_open(path, STORE_WRITE, &st, &err) == -1)
		fail_msg("%s", err.text);
	return st;
}

/* ---- lines ---- */

static struct store_entry
login_line(const char *client, const char *user, int64_t at)
{
	return (struct store_entry){ .client = client,
		.user = user,
		.service = "imap",
		.server = "dovecot",
		.at = at,
		.expires_at = at + WINDOW,
		.source = "file:x",
		.line = "" };
}

static struct store_entry
begin_line(const char *client, const char *user, const char *id, int64_t at)
{
	struct store_entry e = login_line(client, user, at);

	e.kind = SESSION_BEGIN;
	e.session = id;
	e.host = "mail";
	e.until_at = at + MAX;
	e.line = id;
	e.line_len = strlen(id);
	return e;
}

static struct store_entry
end_line(const char *id, int64_t at)
{
	return (struct store_entry){ .kind = SESSION_END,
		.session = id,
		.host = "mail",
		.user = "",
		.server = "dovecot",
		.at = at,
		.expires_at = at + WINDOW,
		.source = "file:x" };
}

static struct store_entry
end_all_line(int64_t at)
{
	struct store_entry e = end_line("", at);

	e.kind = SESSION_END_ALL;
	return e;
}

static void
record(struct store *st, const struct store_entry *v, size_t n)
{
	struct err err;

	assert_int_equal(store_begin(st, &err), 0);
	if (store_logins(st, v, n, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(store_commit(st, &err), 0);
}

static void
record_one(struct store *st, struct store_entry e)
{
	record(st, &e, 1);
}

struct found {
	int64_t expires_at, connected_at;
	char service[LOGIN_WORD_MAX];
	const char *user;
};

static bool
take_row(void *arg, const struct store_row *row)
{
	struct found *f = arg;

	if (strcmp(row->user, f->user) != 0)
		return true;
	f->expires_at = row->expires_at;
	f->connected_at = row->connected_at;
	(void)snprintf(
	    f->service, sizeof(f->service), "%s", row->connected_service);
	return true;
}

/* All zero: no such row. */
static struct found
find(struct store *st, const char *client, const char *user)
{
	struct found f = { .user = user };
	struct err err;

	assert_int_equal(
	    store_each_row(st, client, NULL, INT64_MIN, take_row, &f, &err), 0);
	return f;
}

static int64_t
expiry(struct store *st)
{
	return find(st, "192.0.2.1", "ann").expires_at;
}

#define ANN "192.0.2.1", "ann"

/* ---- one thing at a time ---- */

static void
a_session(void **state)
{
	struct store *st = open_store("one");
	struct found got;

	(void)state;
	record_one(st, begin_line(ANN, "s", 500));
	got = find(st, ANN);
	assert_int_equal(got.expires_at, 500 + MAX);
	assert_int_equal(got.connected_at, 500);
	assert_string_equal(got.service, "imap");
	record_one(st, end_line("other", 700));
	assert_int_equal(expiry(st), 500 + MAX);
	record_one(st, end_line("s", 800));
	got = find(st, ANN);
	assert_int_equal(got.expires_at, 800 + WINDOW);
	assert_int_equal(got.connected_at, 0);
	/* read again: nothing more */
	record_one(st, end_line("s", 900));
	assert_int_equal(expiry(st), 800 + WINDOW);
	store_close(&st);
}

static void
it_counts_no_longer_than_its_maximum(void **state)
{
	struct store *st = open_store("maximum");
	struct err err;

	(void)state;
	record_one(st, begin_line(ANN, "s", 500));
	record_one(st, end_line("s", 500 + MAX - 10));
	assert_int_equal(expiry(st), 500 + MAX);
	record_one(st, begin_line(ANN, "t", 500));
	assert_int_equal(store_sessions_expire(st, 500 + MAX, 10, &err), 1);
	assert_int_equal(find(st, ANN).connected_at, 0);
	assert_int_equal(expiry(st), 500 + MAX);
	store_close(&st);
}

static void
several_sessions(void **state)
{
	struct store *st = open_store("several");
	const struct store_entry v[] = { begin_line(ANN, "a", 500),
		begin_line("192.0.2.1", "bob", "b", 510),
		begin_line(ANN, "c", 520), login_line(ANN, 530) };

	(void)state;
	record(st, v, LENGTH(v));
	assert_int_equal(expiry(st), 520 + MAX);
	assert_int_equal(find(st, ANN).connected_at, 500);
	record_one(st, end_line("c", 540));
	assert_int_equal(expiry(st), 500 + MAX);
	record_one(st, end_line("a", 550));
	assert_int_equal(expiry(st), 550 + WINDOW);
	assert_int_equal(find(st, "192.0.2.1", "bob").expires_at, 510 + MAX);
	store_close(&st);
}

static void
the_server_restarts(void **state)
{
	struct store *st = open_store("restart");
	struct store_entry other = begin_line("192.0.2.3", "ann", "s", 520);
	struct store_entry v[] = { begin_line(ANN, "a", 500),
		begin_line("192.0.2.1", "bob", "b", 510), other,
		end_all_line(600) };

	(void)state;
	v[2].host = "other";
	record(st, v, LENGTH(v));
	assert_int_equal(expiry(st), 600 + WINDOW);
	assert_int_equal(find(st, "192.0.2.1", "bob").expires_at, 600 + WINDOW);
	assert_int_equal(find(st, "192.0.2.3", "ann").expires_at, 520 + MAX);
	store_close(&st);
}

/* Only the line of the same source, server and host ends a session; and, where
 * the id is used again, of the same user. */
static void
ends_of_others(void **state)
{
	struct store *st = open_store("others");
	struct store_entry v[4] = { end_line("s", 600), end_line("s", 600),
		end_line("s", 600), end_line("s", 600) };

	(void)state;
	record_one(st, begin_line(ANN, "s", 500));
	v[0].source = "file:y";
	v[1].server = "courier";
	v[2].host = "";
	v[3].user = "bob";
	record(st, v, LENGTH(v));
	assert_int_equal(expiry(st), 500 + MAX);
	v[3].user = "ann";
	record_one(st, v[3]);
	assert_int_equal(expiry(st), 600 + WINDOW);
	store_close(&st);
}

/* A log process may write the end first. */
static void
the_end_comes_first(void **state)
{
	struct store *st = open_store("first");
	struct store_entry end = end_line("s", 500);
	struct err err;

	(void)state;
	end.unordered = true;
	record_one(st, end);
	record_one(st, begin_line(ANN, "other", 500));
	assert_int_equal(expiry(st), 500 + MAX);
	record_one(st, end_line("other", 500));
	/* in a transaction of its own, the second changed meanwhile */
	struct store_entry begin = begin_line(ANN, "s", 501);

	begin.unordered = true;
	record_one(st, begin);
	assert_int_equal(expiry(st), 501 + WINDOW);
	/* it is remembered for a while, and once */
	record_one(st, begin);
	assert_int_equal(expiry(st), 501 + MAX);
	record_one(st, end_line("s", 510));
	end.at = 600;
	record_one(st, end);
	assert_int_equal(store_sessions_expire(st, 700, 10, &err), 1);
	begin.at = 700;
	begin.until_at = 700 + MAX;
	record_one(st, begin);
	assert_int_equal(expiry(st), 700 + MAX);
	store_close(&st);
}

/* Where not every version logs ends, sessions count once an end was seen. */
static void
a_server_proves_itself(void **state)
{
	struct store *st = open_store("proof");
	struct store_entry begin = begin_line(ANN, "s", 500);
	struct store_entry end = end_line("t", 510);

	(void)state;
	begin.proof = end.proof = true;
	record_one(st, begin);
	assert_int_equal(expiry(st), 500 + WINDOW);
	record_one(st, end);
	begin.at = 520;
	begin.until_at = 520 + MAX;
	record_one(st, begin);
	assert_int_equal(expiry(st), 520 + MAX);
	store_close(&st);
}

static void
an_admin_decides(void **state)
{
	struct store *st = open_store("admin");
	const struct store_row added = { .client = "192.0.2.1",
		.user = "ann",
		.service = "manual",
		.server = STORE_ADMIN,
		.expires_at = 650 };
	struct err err;

	(void)state;
	record_one(st, begin_line(ANN, "s", 500));
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(store_delete(st, "192.0.2.1", 600, &err), 1);
	assert_int_equal(store_commit(st, &err), 0);
	/* neither the end nor a new login brings the old session back */
	record_one(st, begin_line(ANN, "t", 610));
	record_one(st, end_line("s", 620));
	record_one(st, end_line("t", 620));
	assert_int_equal(expiry(st), 620 + WINDOW);
	/* nor does its line, read again */
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(store_delete(st, "192.0.2.1", 630, &err), 1);
	assert_int_equal(store_commit(st, &err), 0);
	record_one(st, begin_line(ANN, "s", 500));
	assert_int_equal(expiry(st), 0);

	record_one(st, begin_line(ANN, "u", 640));
	assert_int_equal(store_set(st, &added, &err), 0);
	record_one(st, end_line("u", 645));
	assert_int_equal(expiry(st), 650);
	store_close(&st);
}

/* With sqlite3(1). */
static void
by_hand(void **state)
{
	struct store *st = open_store("hand");
	char path[100];
	sqlite3 *db;

	(void)state;
	record_one(st, begin_line(ANN, "s", 500));
	record_one(st, begin_line(ANN, "t", 500));
	(void)snprintf(path, sizeof(path), "%s/hand", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE login SET expires_at = 550",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	record_one(st, end_line("s", 560));
	assert_int_equal(expiry(st), 550);
	assert_int_equal(
	    sqlite3_exec(db, "DELETE FROM login", NULL, NULL, NULL), SQLITE_OK);
	record_one(st, login_line(ANN, 600));
	record_one(st, end_line("t", 610));
	assert_int_equal(expiry(st), 600 + WINDOW);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	store_close(&st);
}

static void
the_configuration_changes(void **state)
{
	struct store *st = open_store("configuration");
	static const struct store_source source = { .name = "file:x" };
	struct err err;

	(void)state;
	record_one(st, begin_line(ANN, "s", 500));
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(store_sessions_limit(st, MAX, &err), 0);
	assert_int_equal(store_sessions_limit(st, 400, &err), 1);
	assert_int_equal(store_commit(st, &err), 0);
	assert_int_equal(expiry(st), 900);
	assert_int_not_equal(find(st, ANN).connected_at, 0);
	/* off */
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(store_sessions_end(st, NULL, &err), 1);
	assert_int_equal(store_commit(st, &err), 0);
	assert_int_equal(expiry(st), 500 + WINDOW);
	/* the log is no longer read */
	record_one(st, begin_line(ANN, "t", 510));
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(store_source_save(st, &source, &err), 0);
	assert_int_equal(store_source_delete(st, "file:y", &err), 0);
	assert_int_equal(expiry(st), 510 + MAX);
	assert_int_equal(store_source_delete(st, "file:x", &err), 0);
	assert_int_equal(store_commit(st, &err), 0);
	assert_int_equal(expiry(st), 510 + WINDOW);
	store_close(&st);
}

static void
the_clock_was_ahead(void **state)
{
	struct store *st = open_store("clock");
	struct err err;

	(void)state;
	record_one(st, begin_line(ANN, "s", 90000));
	record_one(st, begin_line("192.0.2.2", "bob", "t", 500));
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(store_cap_future(st, 600, 900, WINDOW, &err), 1);
	assert_int_equal(store_commit(st, &err), 0);
	assert_int_equal(expiry(st), 600 + WINDOW);
	assert_int_equal(find(st, "192.0.2.2", "bob").expires_at, 500 + MAX);
	record_one(st, end_line("s", 90010));
	assert_int_equal(expiry(st), 600 + WINDOW);
	store_close(&st);
}

/* The oldest go, and count for the window. */
static void
too_many(void **state)
{
	struct store *st = open_store("many");
	char path[100];
	sqlite3 *db;
	int64_t n;

	(void)state;
	record_one(st, begin_line(ANN, "oldest", 500));
	(void)snprintf(path, sizeof(path), "%s/many", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db,
		"PRAGMA synchronous = OFF;"
		"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c "
		"WHERE i < 999999) INSERT INTO session SELECT printf('%07d', i), "
		"'file:x', 'dovecot', 'mail', '198.51.100.1', 'u', 'imap', "
		"1000, 2000, 0 FROM c",
		NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	store_close(&st);
	st = open_store("many");
	record_one(st, login_line(ANN, 500));
	assert_int_equal(expiry(st), 500 + MAX);
	record_one(st, begin_line("192.0.2.9", "new", "newest", 1500));
	assert_int_equal(expiry(st), 500 + WINDOW);
	assert_int_equal(find(st, "192.0.2.9", "new").expires_at, 1500 + MAX);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_stmt *stmt;

	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM session",
			     -1, &stmt, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int64(stmt, 0);
	assert_true(n > STORE_SESSIONS_MAX * 99 / 100);
	assert_true(n <= STORE_SESSIONS_MAX);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	store_close(&st);
}

/* ---- a random log ---- */

/* The log of a server, all of it. Ids of "courier" are used again, those of
 * "dovecot" aren't. An admin's deletion stands where he made it. */
enum { LINES = 300, CLIENTS = 3, USERS = 2, PORTS = 3 };

struct log_line {
	struct store_entry e;
	char client[20], user[16], id[16], text[24];
	bool deletes; /* the admin deletes this client */
};

static struct log_line *
random_log(unsigned seed)
{
	static struct log_line v[LINES];
	int64_t now = 100000;

	srand(seed);
	memset(v, 0, sizeof(v));
	for (int i = 0; i < LINES; i++) {
		struct log_line *l = &v[i];
		bool courier = rand() % 2 == 0;
		int what = rand() % 20;

		now += rand() % 60;
		(void)snprintf(l->client, sizeof(l->client), "192.0.2.%d",
		    rand() % CLIENTS);
		(void)snprintf(l->user, sizeof(l->user), "u%d", rand() % USERS);
		(void)snprintf(
		    l->id, sizeof(l->id), "%d", courier ? rand() % PORTS : i);
		if (what < 9) {
			l->e = begin_line(l->client, l->user, l->id, now);
		} else if (what < 11) {
			l->e = login_line(l->client, l->user, now);
		} else if (what < 18) {
			/* of one of the last lines, or of nobody */
			if (!courier && i > 0)
				(void)snprintf(l->id, sizeof(l->id), "%d",
				    i - rand() % (i < 10 ? i : 10));
			l->e = end_line(l->id, now);
			l->e.user = courier ? l->user : "";
		} else if (what < 19) {
			l->e = end_all_line(now);
		} else {
			now++; /* later than all lines before */
			l->deletes = true;
			l->e.at = now++;
			continue;
		}
		(void)snprintf(l->text, sizeof(l->text), "line %d", i);
		l->e.server = courier ? "courier" : "dovecot";
		l->e.line = l->text;
		l->e.line_len = strlen(l->text);
	}
	return v;
}

static bool
same_key(const struct log_line *a, const struct log_line *b)
{
	return strcmp(a->id, b->id) == 0 &&
	    strcmp(a->e.server, b->e.server) == 0;
}

/* Until when the login in line i counts, by the n lines; by the definition. */
static int64_t
counts_until(const struct log_line *v, int i, int n)
{
	const struct log_line *begin = &v[i];
	int64_t window = begin->e.at + WINDOW, most = begin->e.at + MAX;

	for (int k = i + 1; k < n; k++) {
		const struct log_line *l = &v[k];
		int64_t end = l->e.at + WINDOW;

		if (l->deletes) {
			if (strcmp(l->client, begin->client) == 0)
				return 0;
			continue;
		}
		if (begin->e.kind != SESSION_BEGIN)
			continue;
		bool ended = l->e.kind == SESSION_END_ALL
		    ? strcmp(l->e.server, begin->e.server) == 0
		    : l->e.kind == SESSION_END && same_key(begin, l) &&
			(*l->e.user == '\0' ||
			    strcmp(l->e.user, begin->user) == 0);
		bool replaced =
		    l->e.kind == SESSION_BEGIN && same_key(begin, l);

		if (!ended && !replaced)
			continue;
		if (ended && end > window)
			window = end < most ? end : most;
		/* no session any more; it may still be deleted */
		for (k++; k < n; k++)
			if (v[k].deletes &&
			    strcmp(v[k].client, begin->client) == 0)
				return 0;
		return window;
	}
	return begin->e.kind == SESSION_BEGIN ? most : window;
}

static void
compare(struct store *st, const struct log_line *v, int n, int64_t now)
{
	for (int c = 0; c < CLIENTS; c++) {
		for (int u = 0; u < USERS; u++) {
			char client[24], user[16];
			int64_t want = 0, got;

			(void)snprintf(client, sizeof(client), "192.0.2.%d", c);
			(void)snprintf(user, sizeof(user), "u%d", u);
			for (int i = 0; i < n; i++) {
				if (v[i].deletes ||
				    v[i].e.kind > SESSION_BEGIN ||
				    strcmp(v[i].client, client) != 0 ||
				    strcmp(v[i].user, user) != 0)
					continue;
				int64_t until = counts_until(v, i, n);

				want = until > want ? until : want;
			}
			got = find(st, client, user).expires_at;
			ROW("%s %s, line %d", client, user, n);
			if (want > now || got > now)
				assert_int_equal(got, want);
		}
	}
}

static void
save_position(struct store *st, int position)
{
	static struct store_source source = { .name = "file:x" };
	struct err err;

	source.position = position;
	assert_int_equal(store_source_save(st, &source, &err), 0);
}

static int
read_position(struct store *st)
{
	static struct store_source source;
	struct err err;

	source.position = 0;
	assert_int_not_equal(
	    store_source_find(st, "file:x", &source, &err), -1);
	return (int)source.position;
}

/* Read the lines from position to end, and say so, in one transaction. Lines
 * of an admin are his, in a transaction of their own. */
static void
read_some(struct store *st, const struct log_line *v, int from, int to)
{
	static struct store_entry e[LINES];
	struct err err;
	size_t n = 0;

	assert_int_equal(store_begin(st, &err), 0);
	if (v[from].deletes) {
		assert_int_not_equal(
		    store_delete(st, v[from].client, v[from].e.at, &err), -1);
		to = from + 1;
	}
	for (; from < to && !v[from].deletes; from++)
		e[n++] = v[from].e;
	if (store_logins(st, e, n, &err) == -1)
		fail_msg("%s", err.text);
	save_position(st, n == 0 ? to : from);
	if (rand() % 4 == 0) {
		store_rollback(st); /* as if killed */
		return;
	}
	if (rand() % 4 == 0)
		assert_int_not_equal(
		    store_sessions_expire(st, v[from - (n != 0)].e.at, 3, &err),
		    -1);
	assert_int_equal(store_commit(st, &err), 0);
}

static void
random_logs(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 30; seed++) {
		char name[20];

		(void)snprintf(name, sizeof(name), "random%u", seed);
		struct store *st = open_store(name);
		const struct log_line *v = random_log(seed);

		for (int n; (n = read_position(st)) < LINES;) {
			int to = n + 1 + rand() % 12;

			ROW("seed %u", seed);
			read_some(st, v, n, to < LINES ? to : LINES);
			n = read_position(st);
			if (n > 0)
				compare(st, v, n, v[n - 1].e.at);
		}
		/* all of it again, from somewhere: the same comes out */
		save_position(st, rand() % LINES);
		for (int n; (n = read_position(st)) < LINES;)
			read_some(st, v, n, LINES);
		compare(st, v, LINES, v[LINES - 1].e.at);
		store_close(&st);
	}
}

/* The reader is killed at any instant. */
static void
killed_readers(void **state)
{
	const struct log_line *v = random_log(99);
	struct store *st = open_store("killed");
	int n = 0, kills = 0;

	(void)state;
	store_close(&st);
	while (n < LINES) {
		int go[2];

		assert_int_equal(pipe(go), 0);
		pid_t child = fork();

		assert_int_not_equal(child, -1);
		if (child == 0) {
			st = open_store("killed");
			srand((unsigned)n + 1);
			(void)!write(go[1], "x", 1);
			for (int k; (k = read_position(st)) < LINES;)
				read_some(
				    st, v, k, k + 3 < LINES ? k + 3 : LINES);
			_exit(0);
		}
		char c;

		assert_int_equal(read(go[0], &c, 1), 1);
		(void)usleep((useconds_t)(rand() % 2000));
		(void)kill(child, SIGKILL);
		kills++;
		assert_int_equal(waitpid(child, NULL, 0), child);
		(void)close(go[0]);
		(void)close(go[1]);
		st = open_store("killed");
		n = read_position(st);
		if (n > 0)
			compare(st, v, n, v[n - 1].e.at);
		store_close(&st);
	}
	assert_true(kills > 0);
}

static int
set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_memory_dir());
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	return unit_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session),
		cmocka_unit_test(it_counts_no_longer_than_its_maximum),
		cmocka_unit_test(several_sessions),
		cmocka_unit_test(the_server_restarts),
		cmocka_unit_test(ends_of_others),
		cmocka_unit_test(the_end_comes_first),
		cmocka_unit_test(a_server_proves_itself),
		cmocka_unit_test(an_admin_decides),
		cmocka_unit_test(by_hand),
		cmocka_unit_test(the_configuration_changes),
		cmocka_unit_test(the_clock_was_ahead),
		cmocka_unit_test(too_many),
		cmocka_unit_test(random_logs),
		cmocka_unit_test(killed_readers),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
