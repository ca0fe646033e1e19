/* SPDX-License-Identifier: ISC */
/* An admin's deletions and denials, kept a second time in a file of their own:
 * a lost or restored logins.db learns them from there. */
#include "common/db/store.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/db/store_inside.h"

void
store_words_path(const char *path, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s.words", path);
}

int
store_words_open(const char *path, struct store **words_r, struct err *err)
{
	char words[4096];

	*words_r = NULL;
	store_words_path(path, words, sizeof(words));
	return db_create(words, path, err) == -1
	    ? -1
	    : store_open(words, STORE_WRITE, words_r, err);
}

struct taking {
	struct store *st;
	struct err *err;
	int64_t now;
	bool failed;
};

/* The newer denial holds. One that has ended already is taken only when it
 * ends another. */
static const char word_deny_sql[] =
    "INSERT INTO deny (subject, kind, created_at, expires_at, reason) "
    "SELECT ?1, ?2, ?3, ?4, ?5 WHERE ?4 > ?6 OR EXISTS (SELECT 1 FROM "
    "deny WHERE subject = ?1 AND kind = ?2) "
    "ON CONFLICT (subject, kind) DO UPDATE "
    "SET created_at = excluded.created_at, "
    "expires_at = excluded.expires_at, reason = excluded.reason "
    "WHERE excluded.created_at > created_at";

static bool
take_deny(void *arg, const struct store_deny *deny)
{
	struct taking *t = arg;
	sqlite3_stmt *stmt = store_stmt(t->st, word_deny_sql, t->err);
	int64_t until = deny->expires_at;

	/* a denial that was ended by a clock that was ahead has ended */
	if (until <= deny->created_at && until > t->now)
		until = t->now;
	t->failed = stmt == NULL;
	if (t->failed)
		return false;
	store_bind_text(stmt, 1, deny->subject);
	store_bind_text(stmt, 2, deny->is_user ? "user" : "client");
	(void)sqlite3_bind_int64(stmt, 3, deny->created_at);
	(void)sqlite3_bind_int64(stmt, 4, until);
	store_bind_text(stmt, 5, deny->reason);
	(void)sqlite3_bind_int64(stmt, 6, t->now);
	t->failed = db_run(t->st->db, stmt, "deny", t->err) == -1;
	return !t->failed;
}

static const char word_known_sql[] =
    "SELECT EXISTS (SELECT 1 FROM deleted WHERE client = ?1 "
    "AND at >= ?2)";
static const char word_delete_all_sql[] =
    "DELETE FROM login WHERE (client, user) IN (SELECT client, user "
    "FROM login INDEXED BY login_by_expiry WHERE expires_at > ?1 "
    "AND last_at <= ?2 AND server <> '" STORE_ADMIN "')";
static const char word_delete_sql[] =
    "DELETE FROM login WHERE client = ?1 AND last_at <= ?2";

/* Merge one deletion of the words file. Returns 1 when the table didn't know
 * it, 0 when it did, or -1. */
static int
take_deletion(struct taking *t, const char *client, int64_t at)
{
	bool all = *client == '\0';
	sqlite3_stmt *known = store_stmt(t->st, word_known_sql, t->err);
	sqlite3_stmt *del = store_stmt(
	    t->st, all ? word_delete_all_sql : word_delete_sql, t->err);
	bool found = false;

	if (known == NULL || del == NULL)
		return -1;
	store_bind_text(known, 1, client);
	(void)sqlite3_bind_int64(known, 2, at);
	int rc = sqlite3_step(known);

	if (rc == SQLITE_ROW)
		found = sqlite3_column_int(known, 0) != 0;
	if (db_walked(t->st->db, known, rc, "deletions", t->err) == -1)
		return -1;
	if (found)
		return 0;
	if (all)
		(void)sqlite3_bind_int64(del, 1, t->now);
	else
		store_bind_text(del, 1, client);
	(void)sqlite3_bind_int64(del, 2, at);
	return store_set_deleted(t->st, client, at, t->err) == -1 ||
		db_run(t->st->db, del, "delete", t->err) == -1
	    ? -1
	    : 1;
}

static const char words_sql[] = "SELECT client, at FROM deleted";

int
store_take_words(
    struct store *st, struct store *words, int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(words, words_sql, err);
	struct taking t = { .st = st, .err = err, .now = now };
	int rc = SQLITE_DONE, taken = 0, one = 0;

	assert(st != words);
	if (stmt == NULL)
		return -1;
	while (one != -1 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		one = take_deletion(
		    &t, db_text(stmt, 0), sqlite3_column_int64(stmt, 1));
		taken += one;
	}
	if (one == -1) {
		(void)sqlite3_reset(stmt);
		return -1;
	}
	if (db_walked(words->db, stmt, rc, "deletions", err) == -1 ||
	    store_each_deny(words, NULL, NULL, INT64_MIN, take_deny, &t, err) ==
		-1 ||
	    t.failed)
		return -1;
	return taken;
}
