/* SPDX-License-Identifier: ISC */
/* Entries that other machines publish give the same table in any order. */
#include "tests/unit/unit.h"

#include <sqlite3.h>

#include "common/base/err.h"
#include "common/db/store.h"
#include "common/db/store_share.h"
#include "tests/unit/chance.h"

enum { WINDOW = 3, ENTRIES = 16, TIMES = 9 };

static char path[128];

static void
remove_table(void)
{
	static const char *const ends[] = { "", "-wal", "-shm", ".words",
		".words-wal", ".words-shm" };

	for (size_t i = 0; i < LENGTH(ends); i++) {
		char name[160];

		(void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		(void)unlink(name);
	}
}

static struct store *
fresh_table(void)
{
	struct store *st;
	struct err err;

	remove_table();
	if (store_open(path, STORE_WRITE, &st, &err) == -1)
		fail_msg("%s", err.text);
	return st;
}

/* The rows of a query, a line each. */
static const char *
ask(const char *sql)
{
	static char text[2][8192];
	static unsigned turn;
	char *to = text[turn++ % 2];
	size_t n = 0;
	sqlite3 *db;
	sqlite3_stmt *stmt;

	*to = '\0';
	assert_int_equal(
	    sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(stmt); i++)
			n += (size_t)snprintf(to + n, sizeof(text[0]) - n,
			    "%s%s", i == 0 ? "" : " ",
			    (const char *)sqlite3_column_text(stmt, i));
		n += (size_t)snprintf(to + n, sizeof(text[0]) - n, "\n");
		assert_true(n < sizeof(text[0]));
	}
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return to;
}

static const char table_sql[] =
    "SELECT client, user, last_at, expires_at, server = 'popgatectl' "
    "FROM login UNION ALL SELECT 'deny', subject || ' ' || kind, created_at, "
    "expires_at, 0 FROM deny UNION ALL SELECT kind, subject, at, until, 0 "
    "FROM word WHERE kind LIKE 'breach-%' UNION ALL "
    "SELECT 'relayed', client || ' ' || substr(origin, 1, 1), number, "
    "recipients, 0 FROM relayed ORDER BY 1, 2, 3";

/* --- entries --- */

struct entry {
	bool login, relayed;
	int64_t number;
	struct store_word w; /* of a login: subject, user and at */
};

static void
take(struct store *st, const struct entry *e)
{
	const struct store_share_login login = { .number = e->number,
		.at = e->w.at,
		.client = e->w.subject,
		.user = e->w.user,
		.service = "imap",
		.server = "dovecot" };
	const struct relayed relayed = { .origin = e->w.user,
		.number = e->number,
		.at = e->w.at,
		.client = e->w.subject,
		.user = "",
		.how = RELAYED_LOGIN,
		.sender = "",
		.recipients = e->w.until };
	struct err err = { .text = "" };
	int rc = e->relayed ? store_relayed_take(st, &relayed, &err)
	    : e->login
	    ? store_share_take_login(st, &login, "mail2", false, WINDOW, &err)
	    : store_share_take_word(st, &e->w, 1, WINDOW, &err);

	if (rc == -1)
		fail_msg("%s", err.text);
}

static struct entry
random_entry(int64_t number)
{
	static const char *const clients[] = { "192.0.2.1", "192.0.2.2" };
	static const char *const users[] = { "a", "b" };
	struct entry e = { .number = number,
		.w = { .user = "",
		    .note = "",
		    .subject = clients[random_below(2)] } };
	unsigned what = random_below(14);

	e.w.at = 10 + (int64_t)random_below(TIMES);
	e.w.until = e.w.at;
	if (what < 5) {
		e.login = true;
		e.w.user = users[random_below(2)];
	} else if (what < 7) {
		e.w.kind = WORD_ADD;
		e.w.user = users[random_below(2)];
		e.w.until = e.w.at + 1 + (int64_t)random_below(8);
	} else if (what < 8) {
		e.w.kind = WORD_DELETE;
		e.w.subject = random_below(3) == 0 ? "" : e.w.subject;
	} else if (what < 12) {
		e.w.kind = WORD_DENY_CLIENT + random_below(5);
		if (e.w.kind != WORD_DENY_CLIENT &&
		    e.w.kind != WORD_BREACH_CLIENT)
			e.w.subject = users[random_below(2)];
		e.w.until = e.w.at + (int64_t)random_below(4);
	} else {
		/* of two machines, whose numbers are their own */
		e.relayed = true;
		e.number = 1 + random_below(3);
		e.w.user = users[random_below(2)];
		e.w.subject = "192.0.2.9";
		e.w.until = 10 * e.number + (*e.w.user == 'a');
	}
	return e;
}

/* --- what the set of them means, without any order --- */

struct meaning {
	const struct entry *v;
	size_t n;
};

static bool
newer(const struct store_word *a, const struct store_word *b)
{
	return b == NULL || a->at > b->at ||
	    (a->at == b->at && a->until > b->until);
}

static const struct store_word *
word_of(const struct meaning *m, enum store_word_kind kind, const char *subject,
    const char *user)
{
	const struct store_word *best = NULL;

	for (size_t i = 0; i < m->n; i++) {
		const struct store_word *w = &m->v[i].w;

		if (!m->v[i].login && !m->v[i].relayed && w->kind == kind &&
		    strcmp(w->subject, subject) == 0 &&
		    strcmp(w->user, user) == 0 && newer(w, best))
			best = w;
	}
	return best;
}

static size_t
say_row(const struct meaning *m, const char *client, const char *user, char *to,
    size_t size)
{
	const struct store_word *own = word_of(m, WORD_DELETE, client, "");
	const struct store_word *all = word_of(m, WORD_DELETE, "", "");
	const struct store_word *add = word_of(m, WORD_ADD, client, user);
	int64_t newest = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct store_word *w = &m->v[i].w;

		if (m->v[i].login && strcmp(w->subject, client) == 0 &&
		    strcmp(w->user, user) == 0 &&
		    (own == NULL || w->at > own->at) &&
		    (all == NULL || w->at > all->at) &&
		    (add == NULL || w->at >= add->at) && w->at > newest)
			newest = w->at;
	}
	if (add != NULL && own != NULL && own->at >= add->at)
		add = NULL;
	if (add == NULL && newest == 0)
		return 0;
	int64_t ends = newest == 0 ? 0 : newest + WINDOW;
	bool manual = add != NULL && add->until > ends;

	return (size_t)snprintf(to, size, "%s %s %d %d %d\n", client, user,
	    (int)(add != NULL && add->at > newest ? add->at : newest),
	    (int)(manual ? add->until : ends), manual);
}

static size_t
say_deny(const struct meaning *m, enum store_word_kind kind,
    const char *subject, char *to, size_t size)
{
	const struct store_word *w = word_of(m, kind, subject, "");

	if (w == NULL || w->until <= w->at)
		return 0;
	return (size_t)snprintf(to, size, "deny %s %s %d %d 0\n", subject,
	    kind == WORD_DENY_USER ? "user" : "client", (int)w->at,
	    (int)w->until);
}

static size_t
say_breach(const struct meaning *m, enum store_word_kind kind,
    const char *subject, char *to, size_t size)
{
	const struct store_word *w = word_of(m, kind, subject, "");

	return w == NULL ? 0
			 : (size_t)snprintf(to, size, "breach-%s %s %d %d 0\n",
			       kind == WORD_BREACH_CLIENT     ? "client"
				   : kind == WORD_BREACH_USER ? "user"
							      : "login",
			       subject, (int)w->at, (int)w->until);
}

/* Each number of a machine once. */
static size_t
say_relayed(const struct meaning *m, const char *origin, int64_t number,
    char *to, size_t size)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].relayed && m->v[i].number == number &&
		    strcmp(m->v[i].w.user, origin) == 0)
			return (size_t)snprintf(to, size,
			    "relayed 192.0.2.9 %s %d %d 0\n", origin,
			    (int)number, (int)m->v[i].w.until);
	return 0;
}

static const char *
meaning_of(const struct meaning *m)
{
	static char text[2048];
	size_t n = 0;

#define SAY(call, ...) n += call(m, __VA_ARGS__, text + n, sizeof(text) - n)
	text[0] = '\0';
	SAY(say_row, "192.0.2.1", "a");
	SAY(say_row, "192.0.2.1", "b");
	SAY(say_row, "192.0.2.2", "a");
	SAY(say_row, "192.0.2.2", "b");
	SAY(say_breach, WORD_BREACH_CLIENT, "192.0.2.1");
	SAY(say_breach, WORD_BREACH_CLIENT, "192.0.2.2");
	SAY(say_breach, WORD_BREACH_LOGIN, "a");
	SAY(say_breach, WORD_BREACH_LOGIN, "b");
	SAY(say_breach, WORD_BREACH_USER, "a");
	SAY(say_breach, WORD_BREACH_USER, "b");
	SAY(say_deny, WORD_DENY_CLIENT, "192.0.2.1");
	SAY(say_deny, WORD_DENY_CLIENT, "192.0.2.2");
	SAY(say_deny, WORD_DENY_USER, "a");
	SAY(say_deny, WORD_DENY_USER, "b");
	for (int number = 1; number <= 3; number++)
		SAY(say_relayed, "a", number);
	for (int number = 1; number <= 3; number++)
		SAY(say_relayed, "b", number);
	return text;
}

static void
shuffle(struct entry *v, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = random_below((unsigned)i);
		struct entry e = v[i - 1];

		v[i - 1] = v[j];
		v[j] = e;
	}
}

static void
say_entries(const struct entry *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		print_message("%s %d '%s' '%s' %d-%d\n",
		    v[i].relayed     ? "relayed"
			: v[i].login ? "login"
				     : "word",
		    (int)v[i].w.kind, v[i].w.subject, v[i].w.user,
		    (int)v[i].w.at, (int)v[i].w.until);
}

static uint64_t
from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* Permutations, copies, and losses that come later. */
static void
any_order(void **state)
{
	struct entry v[ENTRIES];
	struct meaning m = { .v = v };
	struct err err;

	(void)state;
	const uint64_t first = from_environment("POPGATE_SEED", 1);
	const uint64_t n = from_environment("POPGATE_HISTORIES", 300);

	for (uint64_t seed = first; seed < first + n; seed++) {
		struct store *st = fresh_table();

		ROW("POPGATE_SEED=%d", (int)seed);
		random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
		m.n = 2 + random_below(ENTRIES - 1);
		for (size_t i = 0; i < m.n; i++)
			v[i] = random_entry((int64_t)i + 1);
		assert_int_equal(store_begin(st, &err), 0);
		for (size_t i = 0; i < m.n; i++) {
			if (random_below(4) == 0)
				continue; /* lost */
			take(st, &v[i]);
			if (random_below(4) == 0)
				take(st, &v[i]);
		}
		shuffle(v, m.n);
		for (size_t i = 0; i < m.n; i++)
			take(st, &v[i]);
		assert_int_equal(store_commit(st, &err), 0);
		const char *got = ask(table_sql), *want = meaning_of(&m);

		if (strcmp(got, want) != 0)
			say_entries(v, m.n);
		assert_string_equal(got, want);
		store_close(&st);
	}
}

static void
change(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
}

/* A line that is read again, as the clock was set, counts once, and as long as
 * it says; a login that an admin deleted meanwhile stays deleted. */
static void
read_again(void **state)
{
	static const struct {
		const char *name, *peer, *meanwhile, *want;
	} rows[] = {
		{ "nothing happened", "mail2", "", "50 1 1\n" },
		{ "by another name", "mail3", "", "50 1 1\n" },
		{ "a wrong clock moved it", "mail2",
		    "UPDATE login SET last_at = 2, expires_at = 5",
		    "50 1 1\n" },
		{ "it had ended", "mail2", "DELETE FROM login", "50 1 1\n" },
		{ "it is our own", NULL,
		    "UPDATE login SET last_at = 2, expires_at = 5; "
		    "UPDATE login_event SET source = 'file:x'",
		    "50 1 1\n" },
		{ "deleted", "mail2",
		    "DELETE FROM login; "
		    "INSERT INTO deleted (client, at) VALUES ('192.0.2.1', 50)",
		    "" },
		{ "our own, deleted", NULL,
		    "DELETE FROM login; "
		    "INSERT INTO deleted (client, at) VALUES ('192.0.2.1', 50)",
		    "" },
		{ "it was not known", "mail2",
		    "DELETE FROM login; DELETE FROM login_event", "50 1 1\n" },
	};
	static const char sql[] =
	    "SELECT last_at, count, (SELECT count(*) FROM login_event) "
	    "FROM login WHERE expires_at = last_at + 3";
	const struct store_share_login login = { .number = 7,
		.at = 50,
		.client = "192.0.2.1",
		.user = "a",
		.service = "imap",
		.server = "dovecot" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct store *st = fresh_table();

		ROW("%s", rows[i].name);
		assert_int_equal(store_share_take_login(
				     st, &login, "mail2", false, WINDOW, &err),
		    0);
		change(rows[i].meanwhile);
		assert_int_equal(store_share_take_login(st, &login,
				     rows[i].peer, true, WINDOW, &err),
		    0);
		assert_string_equal(ask(sql), rows[i].want);
		store_close(&st);
	}
}

/* An admin's word from when the clock was ahead: a denial that he ended has
 * ended, though the words file has its end in the future. */
static void
ended_in_the_future(void **state)
{
	struct store *st = fresh_table(), *words;
	const struct store_deny said = { .subject = "192.0.2.1",
		.created_at = 500,
		.expires_at = 500,
		.reason = "undeny" };
	const struct store_deny before = { .subject = "192.0.2.1",
		.created_at = 400,
		.expires_at = 9000,
		.reason = "deny" };
	struct err err;

	(void)state;
	assert_int_equal(store_words_open(path, &words, &err), 0);
	assert_int_equal(store_deny_set(words, &said, &err), 0);
	for (int known = 0; known < 2; known++) {
		ROW("%s", known ? "it was denied here" : "not known here");
		if (known)
			assert_int_equal(store_deny_set(st, &before, &err), 0);
		assert_int_not_equal(
		    store_take_words(st, words, 100, &err), -1);
		assert_string_equal(
		    ask("SELECT subject FROM deny WHERE expires_at > 100"), "");
	}
	store_close(&words);
	store_close(&st);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order),
		cmocka_unit_test(read_again),
		cmocka_unit_test(ended_in_the_future),
	};

	(void)snprintf(path, sizeof(path), "%s/logins.db", unit_memory_dir());
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	remove_table();
	*strrchr(path, '/') = '\0';
	(void)rmdir(path);
	return failed;
}
