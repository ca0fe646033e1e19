/* SPDX-License-Identifier: ISC */
/* store_sources - how far each log is read, and what was counted of its lines.
 */
#include "common/db/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/db/store_inside.h"

static const char sources_read_at_sql[] =
    "SELECT coalesce(min(max(read_at, 1)), 0) FROM source";

int
store_sources_read_at(struct store *st, int64_t *oldest_r, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, sources_read_at_sql, err);

	if (stmt == NULL)
		return -1;
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		*oldest_r = sqlite3_column_int64(stmt, 0);
	else
		db_err(st->db, "sources", err);
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? 0 : -1;
}

static const char source_save_sql[] =
    "INSERT OR REPLACE INTO source (name, inode, position, "
    "fingerprint, read_at, line_at, device) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

int
store_source_save(
    struct store *st, const struct store_source *src, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, source_save_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, src->name);
	(void)sqlite3_bind_int64(stmt, 2, (sqlite3_int64)src->inode);
	(void)sqlite3_bind_int64(stmt, 3, src->position);
	store_bind_text(stmt, 4, src->fingerprint);
	(void)sqlite3_bind_int64(stmt, 5, src->read_at);
	(void)sqlite3_bind_int64(stmt, 6, src->line_at);
	(void)sqlite3_bind_int64(stmt, 7, (sqlite3_int64)src->device);
	return db_run(st->db, stmt, "source", err);
}

static void
source_column(sqlite3_stmt *stmt, struct store_source *src)
{
	(void)snprintf(src->name, sizeof(src->name), "%s", db_text(stmt, 0));
	src->inode = (uint64_t)sqlite3_column_int64(stmt, 1);
	src->position = sqlite3_column_int64(stmt, 2);
	(void)snprintf(
	    src->fingerprint, sizeof(src->fingerprint), "%s", db_text(stmt, 3));
	src->read_at = sqlite3_column_int64(stmt, 4);
	src->line_at = sqlite3_column_int64(stmt, 5);
	src->device = (uint64_t)sqlite3_column_int64(stmt, 6);
}

static const char source_find_sql[] =
    "SELECT name, inode, position, fingerprint, read_at, line_at, "
    "device FROM source WHERE name = ?1";

int
store_source_find(struct store *st, const char *name, struct store_source *src,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, source_find_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, name);
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		source_column(stmt, src);
	else if (rc != SQLITE_DONE)
		db_err(st->db, "source", err);
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

static const char source_delete_sql[] = "DELETE FROM source WHERE name = ?1";

int
store_source_delete(struct store *st, const char *name, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, source_delete_sql, err);

	if (stmt == NULL)
		return -1;
	if (store_sessions_end(st, name, err) == -1)
		return -1;
	store_bind_text(stmt, 1, name);
	return db_run(st->db, stmt, "source", err);
}

static const char sources_sql[] =
    "SELECT name, inode, position, fingerprint, read_at, line_at, "
    "device FROM source ORDER BY name";

int
store_each_source(struct store *st,
    bool (*fn)(void *arg, const struct store_source *src), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, sources_sql, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_source src = { .name = "" };

		source_column(stmt, &src);
		more = fn(arg, &src);
	}
	return db_walked(st->db, stmt, rc, "sources", err);
}

static const char count_add_sql[] =
    "INSERT INTO source_count (source, server, reason, lines, "
    "since_login, first_at, last_at, sample) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
    "ON CONFLICT (source, server, reason) DO UPDATE SET "
    "lines = lines + excluded.lines, "
    "since_login = since_login + excluded.since_login, "
    "gap_s = max(gap_s, excluded.first_at - last_at), "
    "last_at = max(last_at, excluded.last_at), "
    "sample = CASE WHEN excluded.sample <> '' "
    "THEN excluded.sample ELSE sample END";

int
store_count_add(struct store *st, const struct store_count *more,
    size_t sample_len, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, count_add_sql, err);

	assert(more->lines >= more->since_login);
	if (stmt == NULL)
		return -1;
	char *sample = store_escape_line(more->sample, sample_len);

	if (sample == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	store_bind_text(stmt, 1, more->source);
	store_bind_text(stmt, 2, more->server);
	store_bind_text(stmt, 3, more->reason);
	(void)sqlite3_bind_int64(stmt, 4, more->lines);
	(void)sqlite3_bind_int64(stmt, 5, more->since_login);
	(void)sqlite3_bind_int64(stmt, 6, more->first_at);
	(void)sqlite3_bind_int64(stmt, 7, more->last_at);
	store_bind_text(stmt, 8, sample);
	int ret = db_run(st->db, stmt, "counters", err);

	free(sample);
	return ret;
}

static const char count_login_sql[] =
    "UPDATE source_count SET since_login = 0 "
    "WHERE source = ?1 AND server = ?2 AND since_login <> 0";

int
store_count_login(
    struct store *st, const char *source, const char *server, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, count_login_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, source);
	store_bind_text(stmt, 2, server);
	return db_run(st->db, stmt, "counters", err);
}

static const char count_delete_sql[] =
    "DELETE FROM source_count WHERE source = ?1";

int
store_count_delete(struct store *st, const char *source, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, count_delete_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, source);
	return db_run(st->db, stmt, "counters", err);
}

static const char counts_sql[] =
    "SELECT source, server, reason, lines, since_login, first_at, "
    "last_at, sample FROM source_count "
    "ORDER BY source, server, reason";

int
store_each_count(struct store *st,
    bool (*fn)(void *arg, const struct store_count *count), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, counts_sql, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_count count = { .source = db_text(stmt, 0),
			.server = db_text(stmt, 1),
			.reason = db_text(stmt, 2),
			.lines = sqlite3_column_int64(stmt, 3),
			.since_login = sqlite3_column_int64(stmt, 4),
			.first_at = sqlite3_column_int64(stmt, 5),
			.last_at = sqlite3_column_int64(stmt, 6),
			.sample = db_text(stmt, 7) };

		more = fn(arg, &count);
	}
	return db_walked(st->db, stmt, rc, "counters", err);
}

static const char quiet_sql[] =
    "SELECT source, server, last_at FROM server_quiet "
    "WHERE ?1 - last_at BETWEEN limit_s AND limit_s + 7 * 86400";

int
store_each_quiet(struct store *st, int64_t now,
    bool (*fn)(
	void *arg, const char *source, const char *server, int64_t last_at),
    void *arg, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, quiet_sql, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, now);
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		more = fn(arg, db_text(stmt, 0), db_text(stmt, 1),
		    sqlite3_column_int64(stmt, 2));
	return db_walked(st->db, stmt, rc, "counters", err);
}

static const char pairs_clear_sql[] = "DELETE FROM pair";

int
store_pairs_clear(struct store *st, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, pairs_clear_sql, err);

	return stmt == NULL ? -1 : db_run(st->db, stmt, "pairs", err);
}

static const char pair_add_sql[] =
    "INSERT INTO pair (direct, host, server, pid, client, "
    "at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

int
store_pair_add(struct store *st, const struct store_pair *pair, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, pair_add_sql, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int(stmt, 1, pair->direct);
	(void)sqlite3_bind_text(
	    stmt, 2, pair->host, (int)pair->host_len, SQLITE_STATIC);
	store_bind_text(stmt, 3, pair->server);
	(void)sqlite3_bind_int64(stmt, 4, pair->pid);
	store_bind_text(stmt, 5, pair->client);
	(void)sqlite3_bind_int64(stmt, 6, pair->at);
	return db_run(st->db, stmt, "pairs", err);
}

static const char pairs_sql[] =
    "SELECT direct, host, server, pid, client, at FROM pair";

int
store_each_pair(struct store *st,
    bool (*fn)(void *arg, const struct store_pair *pair), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, pairs_sql, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_pair pair = { .direct =
					       sqlite3_column_int(stmt, 0) != 0,
			.host = db_text(stmt, 1),
			.host_len = (size_t)sqlite3_column_bytes(stmt, 1),
			.server = db_text(stmt, 2),
			.pid = sqlite3_column_int64(stmt, 3),
			.client = db_text(stmt, 4),
			.at = sqlite3_column_int64(stmt, 5) };

		more = fn(arg, &pair);
	}
	return db_walked(st->db, stmt, rc, "pairs", err);
}
