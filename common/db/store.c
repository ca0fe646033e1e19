/* SPDX-License-Identifier: ISC */
#include "common/db/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/db/sql.h"
#include "common/db/store_inside.h"

enum {
	READ_BUSY_MS = 250, /* a RCPT waits no longer for a lock */
	WRITE_BUSY_MS = 10000
};

int
store_open(const char *path, enum store_mode mode, struct store **st_r,
    struct err *err)
{
	static const enum db_mode db_mode[] = { [STORE_READ] = DB_READ,
		[STORE_WRITE] = DB_CREATE,
		[STORE_MODIFY] = DB_WRITE };
	struct store *st = calloc(1, sizeof(*st));

	assert(
	    path != NULL && (size_t)mode < sizeof(db_mode) / sizeof(*db_mode));
	*st_r = NULL;
	if (st == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	st->reader = mode == STORE_READ;
	st->sessions = -1;
	if (db_open(path, db_mode[mode],
		mode == STORE_READ ? READ_BUSY_MS : WRITE_BUSY_MS, sql_logins,
		SQL_LOGINS_STEPS, &st->db, err) == -1)
		goto fail;
	/* A milter has many readers: the kernel caches for all of them. */
	if (mode == STORE_READ &&
	    db_exec(st->db, "PRAGMA cache_size = -256", err) == -1)
		goto fail;
	if (store_prepare_lookup(st, err) == -1)
		goto fail;
	if (mode != STORE_READ &&
	    (db_exec(st->db, "PRAGMA wal_autocheckpoint = 2000", err) == -1 ||
		/* so that REPLACE runs the trigger of what it deletes */
		db_exec(st->db, "PRAGMA recursive_triggers = ON", err) == -1 ||
		db_exec(st->db, "PRAGMA journal_size_limit = 67108864", err) ==
		    -1))
		goto fail;
	*st_r = st;
	return 0;
fail:
	store_close(&st);
	return -1;
}

void
store_close(struct store **st)
{
	if (*st == NULL)
		return;
	for (unsigned i = 0; i < (*st)->n_statements; i++)
		(void)sqlite3_finalize((*st)->statements[i].stmt);
	(void)sqlite3_close((*st)->db);
	free(*st);
	*st = NULL;
}

sqlite3_stmt *
store_stmt(struct store *st, const char *sql, struct err *err)
{
	sqlite3_stmt *stmt;

	for (unsigned i = 0; i < st->n_statements; i++)
		if (st->statements[i].sql == sql)
			return st->statements[i].stmt;
	assert(st->n_statements < STORE_STATEMENTS);
	if (db_prepare(st->db, sql, &stmt, err) == -1)
		return NULL;
	st->statements[st->n_statements].sql = sql;
	st->statements[st->n_statements++].stmt = stmt;
	return stmt;
}

void
store_bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	assert(text != NULL); /* a column of these tables is never NULL */
	(void)sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
}

static const char begin_sql[] = "BEGIN IMMEDIATE";

int
store_begin(struct store *st, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, begin_sql, err);

	return stmt == NULL ? -1 : db_run(st->db, stmt, "begin", err);
}

static const char commit_sql[] = "COMMIT";

int
store_commit(struct store *st, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, commit_sql, err);

	return stmt == NULL ? -1 : db_run(st->db, stmt, "commit", err);
}

void
store_rollback(struct store *st)
{
	st->sessions = -1;
	if (!sqlite3_get_autocommit(st->db))
		(void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
}

static const char data_version_sql[] = "PRAGMA data_version";

int
store_data_version(struct store *st, int64_t *version_r, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, data_version_sql, err);

	if (stmt == NULL)
		return -1;
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		*version_r = sqlite3_column_int64(stmt, 0);
	return db_walked(st->db, stmt, rc, "version", err);
}

void
store_watch(struct store *st, struct db_watch *w)
{
	db_watch(st->db, w);
}

void
store_wait(struct store *st, int ms)
{
	assert(ms >= 0);
	(void)sqlite3_busy_timeout(st->db, ms);
}

int
store_tune(
    struct store *st, int cache_kib, int checkpoint_pages, struct err *err)
{
	char sql[100];

	assert(cache_kib > 0 && checkpoint_pages > 0);
	(void)snprintf(sql, sizeof(sql),
	    "PRAGMA cache_size = -%d; "
	    "PRAGMA wal_autocheckpoint = %d",
	    cache_kib, checkpoint_pages);
	return db_exec(st->db, sql, err);
}

const char *
store_sqlite_version(void)
{
	return sqlite3_libversion();
}
