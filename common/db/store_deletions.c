/* SPDX-License-Identifier: ISC */
/* store_deletions - the logins that an admin deleted, so that no log line read
 * later brings them back. */
#include "common/db/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/store_inside.h"

static const char deleted_set_sql[] =
    "INSERT INTO deleted (client, at) VALUES (?1, ?2) "
    "ON CONFLICT (client) DO UPDATE SET at = max(at, excluded.at)";

int
store_set_deleted(
    struct store *st, const char *client, int64_t at, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, deleted_set_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, client);
	(void)sqlite3_bind_int64(stmt, 2, at);
	return db_run(st->db, stmt, "deletion", err);
}

static const char delete_sql[] = "DELETE FROM login WHERE client = ?1";

int
store_delete(struct store *st, const char *client, int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, delete_sql, err);

	if (stmt == NULL || store_set_deleted(st, client, now, err) == -1)
		return -1;
	store_bind_text(stmt, 1, client);
	if (db_run(st->db, stmt, "delete", err) == -1)
		return -1;
	return sqlite3_changes(st->db);
}

int
store_delete_older(struct store *st, int64_t at, struct err *err)
{
	return store_set_deleted(st, "", at, err);
}

static const char deleted_sql[] =
    "SELECT client, at FROM deleted WHERE client IN ('', ?1)";

static int
find_deleted(struct store *st, const char *client, struct store_deleted *d,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, deleted_sql, err);
	int rc;

	*d = (struct store_deleted){ .own_at = INT64_MIN, .all_at = INT64_MIN };
	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, client);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		*(*db_text(stmt, 0) == '\0' ? &d->all_at : &d->own_at) =
		    sqlite3_column_int64(stmt, 1);
	return db_walked(st->db, stmt, rc, "deletions", err);
}

int
store_deleted_find(
    struct store *st, const char *client, int64_t *at_r, struct err *err)
{
	struct store_deleted d;

	if (find_deleted(st, client, &d, err) == -1)
		return -1;
	*at_r = d.own_at > d.all_at ? d.own_at : d.all_at;
	return *at_r != INT64_MIN;
}

/* A long history is searched in its newest rows only. */
static const char read_before_sql[] =
    "SELECT EXISTS (SELECT 1 FROM (SELECT at, source, line FROM "
    "login_event WHERE client = ?1 ORDER BY id DESC LIMIT 20000) "
    "WHERE at <= ?2 AND line = ?3 AND source <> '" STORE_ADMIN "')";

/* Was this line in the history at deleted_at? The history dates a login no
 * later than it was read first; the same line read again may have a later
 * date. Returns 1, 0, or -1 with err. */
static int
read_before(struct store *st, const struct store_entry *e, int64_t deleted_at,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, read_before_sql, err);
	char *escaped = NULL;
	bool found = false;

	if (stmt == NULL ||
	    store_bind_evidence(stmt, 3, e, &escaped, err) == -1)
		return -1;
	store_bind_text(stmt, 1, e->client);
	(void)sqlite3_bind_int64(stmt, 2, deleted_at);
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		found = sqlite3_column_int(stmt, 0) != 0;
	int ret = db_walked(st->db, stmt, rc, "history", err);

	free(escaped);
	return ret == -1 ? -1 : found;
}

/* Does a deletion hold against this login? A login of the same second is
 * deleted, because most lines give no fraction. Returns 1, 0, or -1 with err.
 *   ahead_s  by how much the clock of the login's server may be ahead */
static int
is_deleted(struct store *st, const struct store_entry *e, int64_t deleted_at,
    int64_t ahead_s, struct err *err)
{
	if (deleted_at == INT64_MIN || e->at - deleted_at > ahead_s)
		return 0;
	return e->at <= deleted_at ? 1 : read_before(st, e, deleted_at, err);
}

static const char deleted_from_sql[] = "SELECT client, at FROM deleted "
				       "WHERE client >= ?1 AND client <> '' "
				       "ORDER BY client";

int
store_deletions_begin(struct store *st, const char *client,
    struct store_deletions *d, struct err *err)
{
	d->stmt = store_stmt(st, deleted_from_sql, err);
	if (d->stmt == NULL || find_deleted(st, "", &d->now, err) == -1)
		return -1;
	store_bind_text(d->stmt, 1, client);
	d->rc = sqlite3_step(d->stmt);
	return 0;
}

void
store_deletions_seek(struct store_deletions *d, const char *client)
{
	int order = -1;

	d->now.own_at = INT64_MIN;
	while (d->rc == SQLITE_ROW &&
	    (order = strcmp(db_text(d->stmt, 0), client)) < 0)
		d->rc = sqlite3_step(d->stmt);
	if (d->rc == SQLITE_ROW && order == 0)
		d->now.own_at = sqlite3_column_int64(d->stmt, 1);
}

int64_t
store_drop_deleted(struct store *st, const struct store_deleted *d,
    const struct store_entry **run, size_t n, struct err *err)
{
	enum { OWN_AHEAD_S = 86400 }; /* rare: may cost a look-up */
	size_t kept = 0;

	assert(n > 0);
	if (d->own_at == INT64_MIN && d->all_at == INT64_MIN)
		return (int64_t)n;
	for (size_t i = 0; i < n; i++) {
		int gone = is_deleted(st, run[i], d->own_at, OWN_AHEAD_S, err);

		if (gone == 0)
			gone = is_deleted(
			    st, run[i], d->all_at, LOGIN_FUTURE_S, err);
		if (gone == -1)
			return -1;
		if (gone == 0)
			run[kept++] = run[i];
	}
	assert(kept <= n);
	return (int64_t)kept;
}
