/* SPDX-License-Identifier: ISC */
/* store_logins - the rows of logins: written, changed and walked. */
#include "common/db/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/store_inside.h"

/* Up to this many rows that count are found by the index of ends and sorted;
 * of more, the table is walked in order. */
enum { ACTIVE_FEW = 100000 };

/* A statement that takes the eight columns of a row. */
static int
write_row(struct store *st, const char *sql, const struct store_row *row,
    const char *what, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, row->client);
	store_bind_text(stmt, 2, row->user);
	store_bind_text(stmt, 3, row->service);
	store_bind_text(stmt, 4, row->server);
	(void)sqlite3_bind_int64(stmt, 5, row->first_at);
	(void)sqlite3_bind_int64(stmt, 6, row->last_at);
	(void)sqlite3_bind_int64(stmt, 7, row->expires_at);
	(void)sqlite3_bind_int64(stmt, 8, row->count);
	return db_run(st->db, stmt, what, err);
}

/* The newest login names server and service. Expiry never goes back, so a line
 * that is read late or twice can neither shorten nor stretch it. */
#define WINDOW_END                                                       \
	"coalesce((SELECT s.window_at FROM session AS s WHERE s.client " \
	"= login.client AND s.user = login.user "                        \
	"ORDER BY s.until_at DESC LIMIT 1), expires_at) "
static const char login_sql[] =
    "INSERT INTO login (" STORE_COLUMNS ") "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
    "ON CONFLICT (client, user) DO UPDATE SET "
    "service = CASE WHEN excluded.expires_at >= " WINDOW_END " "
    "THEN excluded.service ELSE service END, "
    "server = CASE WHEN excluded.expires_at >= " WINDOW_END " "
    "THEN excluded.server ELSE server END, "
    "first_at = min(first_at, excluded.first_at), "
    "last_at = max(last_at, excluded.last_at), "
    "expires_at = max(expires_at, excluded.expires_at), "
    "count = count + excluded.count";

static int
write_login(struct store *st, const struct store_row *row, struct err *err)
{
	return write_row(st, login_sql, row, "login", err) == -1
	    ? -1
	    : store_sessions_window(
		  st, row->client, row->user, row->expires_at, err);
}

int
store_login(struct store *st, const struct login *login,
    const struct network *net, int64_t expires_at,
    const struct store_evidence *ev, struct err *err)
{
	char client[NETWORK_TEXT_MAX];
	const struct store_row row = { .client = network_format(net, client),
		.user = login->user,
		.service = login->service,
		.server = login->server,
		.first_at = login->at,
		.last_at = login->at,
		.expires_at = expires_at,
		.count = 1 };

	if (write_login(st, &row, err) == -1)
		return -1;
	if (ev == NULL)
		return 0;
	const struct store_entry e = { .client = client,
		.user = login->user,
		.service = login->service,
		.server = login->server,
		.at = login->at,
		.source = ev->source,
		.position = ev->position,
		.line = ev->line,
		.line_len = ev->line_len };

	return store_record_evidence(st, &e, err);
}

static const char set_sql[] =
    "INSERT OR REPLACE INTO login (" STORE_COLUMNS ") "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

int
store_set(struct store *st, const struct store_row *row, struct err *err)
{
	return write_row(st, set_sql, row, "entry", err);
}

/* Rows end in slices of the primary key: short locks, no full scan. */
static const char expire_end_sql[] =
    "SELECT client FROM login WHERE client > ?1 "
    "ORDER BY client LIMIT 1 OFFSET ?2";
static const char expire_sql[] =
    "DELETE FROM login WHERE client > ?1 "
    "AND (?2 = '' OR client <= ?2) AND expires_at < ?3";

int
store_expire(struct store *st, int64_t cutoff, int limit,
    char cursor[NETWORK_TEXT_MAX], struct err *err)
{
	sqlite3_stmt *end = store_stmt(st, expire_end_sql, err);
	sqlite3_stmt *del = store_stmt(st, expire_sql, err);
	char last[NETWORK_TEXT_MAX] = "";

	assert(limit > 0);
	if (end == NULL || del == NULL)
		return -1;
	store_bind_text(end, 1, cursor);
	(void)sqlite3_bind_int(end, 2, limit);
	int rc = sqlite3_step(end);

	if (rc == SQLITE_ROW)
		(void)snprintf(last, sizeof(last), "%s", db_text(end, 0));
	else if (rc != SQLITE_DONE)
		db_err(st->db, "expire", err);
	(void)sqlite3_reset(end);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return -1;
	store_bind_text(del, 1, cursor);
	store_bind_text(del, 2, last);
	(void)sqlite3_bind_int64(del, 3, cutoff);
	if (db_run(st->db, del, "expire", err) == -1)
		return -1;
	memcpy(cursor, last, sizeof(last));
	return sqlite3_changes(st->db);
}

/* expires_at is never before last_at, so the index of ends finds every row. The
 * sessions of these logins end. */
static const char cap_future_sql[] =
    "UPDATE login INDEXED BY login_by_expiry SET "
    "first_at = min(first_at, ?1), last_at = ?1, "
    "expires_at = min(expires_at, ?1 + ?3) "
    "WHERE expires_at > ?2 AND last_at > ?2 "
    "AND server <> '" STORE_ADMIN "'";
static const char cap_sessions_sql[] =
    "DELETE FROM session WHERE (client, user) IN (SELECT client, user "
    "FROM login INDEXED BY login_by_expiry WHERE expires_at > ?1 "
    "AND last_at > ?1 AND server <> '" STORE_ADMIN "')";
static const char cap_counts_sql[] =
    "UPDATE source_count SET first_at = min(first_at, "
    "?1), last_at = ?1 WHERE last_at > ?2";
static const char deleted_cap_sql[] =
    "UPDATE deleted SET at = ?1 WHERE at > ?2";

int
store_cap_future(struct store *st, int64_t now, int64_t latest,
    int64_t window_s, struct err *err)
{
	sqlite3_stmt *logins = store_stmt(st, cap_future_sql, err);
	sqlite3_stmt *counts = store_stmt(st, cap_counts_sql, err);
	sqlite3_stmt *deleted = store_stmt(st, deleted_cap_sql, err);
	sqlite3_stmt *sessions = store_stmt(st, cap_sessions_sql, err);

	assert(now <= latest && window_s > 0);
	if (logins == NULL || counts == NULL || deleted == NULL ||
	    sessions == NULL)
		return -1;
	(void)sqlite3_bind_int64(sessions, 1, latest);
	(void)sqlite3_bind_int64(deleted, 1, now);
	(void)sqlite3_bind_int64(deleted, 2, latest);
	(void)sqlite3_bind_int64(counts, 1, now);
	(void)sqlite3_bind_int64(counts, 2, latest);
	(void)sqlite3_bind_int64(logins, 1, now);
	(void)sqlite3_bind_int64(logins, 2, latest);
	(void)sqlite3_bind_int64(logins, 3, window_s);
	if (db_run(st->db, counts, "counters", err) == -1 ||
	    db_run(st->db, deleted, "deletions", err) == -1 ||
	    db_run(st->db, sessions, "sessions", err) == -1 ||
	    db_run(st->db, logins, "logins", err) == -1)
		return -1;
	return sqlite3_changes(st->db);
}

int64_t
store_ticks(const struct store_row *row, int64_t window_s)
{
	return strcmp(row->server, STORE_ADMIN) == 0
	    ? row->expires_at - window_s
	    : row->last_at;
}

/* The service's name as a constant, so that rows can be kept. */
static const char *
service_name(const char *service)
{
	return strcmp(service, "imap") == 0 ? "imap"
	    : strcmp(service, "pop3") == 0  ? "pop3"
					    : "";
}

struct store_row
store_row_columns(sqlite3_stmt *stmt)
{
	return (struct store_row){ .client = db_text(stmt, 0),
		.user = db_text(stmt, 1),
		.service = db_text(stmt, 2),
		.server = db_text(stmt, 3),
		.first_at = sqlite3_column_int64(stmt, 4),
		.last_at = sqlite3_column_int64(stmt, 5),
		.expires_at = sqlite3_column_int64(stmt, 6),
		.count = sqlite3_column_int64(stmt, 7),
		.connected_at = sqlite3_column_int64(stmt, 8),
		.connected_service = service_name(db_text(stmt, 9)) };
}

static int
each_row(struct store *st, sqlite3_stmt *stmt,
    bool (*fn)(void *arg, const struct store_row *row), void *arg,
    struct err *err)
{
	bool more = true;
	int rc = SQLITE_DONE;

	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_row row = store_row_columns(stmt);

		more = fn(arg, &row);
	}
	return db_walked(st->db, stmt, rc, "list", err);
}

static const char rows_sql[] =
    "SELECT " STORE_ROW " FROM login NOT INDEXED WHERE expires_at > ?2 "
    "ORDER BY client, user";
static const char many_active_sql[] =
    "SELECT 1 FROM login INDEXED BY login_by_expiry "
    "WHERE expires_at > ?1 LIMIT 1 OFFSET ?2";
static const char rows_active_sql[] =
    "SELECT " STORE_ROW " FROM login INDEXED BY login_by_expiry "
    "WHERE expires_at > ?2 ORDER BY client, user";

/* The statement that walks the rows with expires_at > active_at: by the index
 * of ends or, of many, by the primary key. NULL with err. */
static const char *
way_to_active(struct store *st, int64_t active_at, struct err *err)
{
	sqlite3_stmt *stmt;

	if (active_at == INT64_MIN)
		return rows_sql;
	stmt = store_stmt(st, many_active_sql, err);
	if (stmt == NULL)
		return NULL;
	(void)sqlite3_bind_int64(stmt, 1, active_at);
	(void)sqlite3_bind_int(stmt, 2, ACTIVE_FEW);
	int rc = sqlite3_step(stmt);

	if (db_walked(st->db, stmt, rc, "list", err) == -1)
		return NULL;
	return rc == SQLITE_ROW ? rows_sql : rows_active_sql;
}

static const char rows_of_client_sql[] =
    "SELECT " STORE_ROW " FROM login WHERE client = ?1 "
    "AND expires_at > ?2 ORDER BY user";
static const char rows_of_user_sql[] =
    "SELECT " STORE_ROW " FROM login WHERE user = ?1 AND user <> '' "
    "AND expires_at > ?2 ORDER BY client";

int
store_each_row(struct store *st, const char *client, const char *user,
    int64_t active_at, bool (*fn)(void *arg, const struct store_row *row),
    void *arg, struct err *err)
{
	const char *sql = client != NULL ? rows_of_client_sql
	    : user != NULL               ? rows_of_user_sql
					 : way_to_active(st, active_at, err);
	sqlite3_stmt *stmt = sql == NULL ? NULL : store_stmt(st, sql, err);

	assert(client == NULL || user == NULL);
	if (stmt == NULL)
		return -1;
	if (client != NULL || user != NULL)
		store_bind_text(stmt, 1, client != NULL ? client : user);
	(void)sqlite3_bind_int64(stmt, 2, active_at);
	return each_row(st, stmt, fn, arg, err);
}

static const char rows_recent_sql[] =
    "SELECT " STORE_ROW " FROM login INDEXED BY login_by_expiry "
    "WHERE expires_at > ?1 AND expires_at <= ?2 "
    "ORDER BY expires_at DESC";

int
store_each_recent(struct store *st, int64_t after, int64_t until,
    bool (*fn)(void *arg, const struct store_row *row), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, rows_recent_sql, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, after);
	(void)sqlite3_bind_int64(stmt, 2, until);
	return each_row(st, stmt, fn, arg, err);
}

/* "10.1." of 10.1.0.0/16 to /23: what all texts in it begin with. false when
 * that is nothing. */
static bool
text_prefix(const struct network *net, char prefix[NETWORK_TEXT_MAX])
{
	unsigned octets = net->bits / 8;
	size_t n = 0;

	if (net->base.family != ADDR_IPV4 || octets == 0)
		return false;
	if (octets == 4)
		octets = 3;
	for (unsigned i = 0; i < octets; i++)
		n += (size_t)snprintf(prefix + n, NETWORK_TEXT_MAX - n, "%u.",
		    net->base.bytes[i]);
	return true;
}

static const char rows_within_sql[] =
    "SELECT " STORE_ROW " FROM login "
    "WHERE client >= ?1 AND client < ?2 "
    "UNION ALL SELECT " STORE_ROW " FROM login INDEXED BY login_network "
    "WHERE server = '" STORE_ADMIN "' AND instr(client, '/') > 0 "
    "AND NOT (client >= ?1 AND client < ?2)";

int
store_each_within(struct store *st, const struct network *net,
    bool (*fn)(void *arg, const struct store_row *row), void *arg,
    struct err *err)
{
	char first[NETWORK_TEXT_MAX], behind[NETWORK_TEXT_MAX];
	sqlite3_stmt *stmt;

	if (!text_prefix(net, first))
		return store_each_row(st, NULL, NULL, INT64_MIN, fn, arg, err);
	stmt = store_stmt(st, rows_within_sql, err);
	if (stmt == NULL)
		return -1;
	(void)snprintf(behind, sizeof(behind), "%s", first);
	behind[strlen(behind) - 1]++; /* '.' + 1 */
	store_bind_text(stmt, 1, first);
	store_bind_text(stmt, 2, behind);
	return each_row(st, stmt, fn, arg, err);
}

static int
by_client_and_user(const void *a, const void *b)
{
	const struct store_entry *x = *(const struct store_entry *const *)a;
	const struct store_entry *y = *(const struct store_entry *const *)b;
	int order = strcmp(x->client, y->client);

	if (order == 0)
		order = strcmp(x->user, y->user);
	return order != 0 ? order : x < y ? -1 : x > y;
}

/* The n entries of run are of one client and user, in the order of reading. */
static int
record_run(struct store *st, const struct store_entry *const *run, size_t n,
    struct err *err)
{
	const struct store_entry *newest = run[0];
	int64_t first_at = INT64_MAX, last_at = INT64_MIN;

	assert(n > 0);
	for (size_t i = 0; i < n; i++) {
		if (run[i]->expires_at >= newest->expires_at)
			newest = run[i];
		if (run[i]->at < first_at)
			first_at = run[i]->at;
		if (run[i]->at > last_at)
			last_at = run[i]->at;
	}
	const struct store_row row = { .client = newest->client,
		.user = newest->user,
		.service = newest->service,
		.server = newest->server,
		.first_at = first_at,
		.last_at = last_at,
		.expires_at = newest->expires_at,
		.count = (int64_t)n };

	return write_login(st, &row, err);
}

static bool
is_login(const struct store_entry *e)
{
	return e->kind == SESSION_NONE || e->kind == SESSION_BEGIN;
}

/* Marks in kept which entries of v, to which order points, are written. */
static int
record_runs(struct store *st, const struct store_entry **order, size_t n,
    const struct store_entry *v, bool *kept_r, struct err *err)
{
	struct store_deletions deletions;
	int64_t kept = 0;

	if (store_deletions_begin(st, order[0]->client, &deletions, err) == -1)
		return -1;
	for (size_t i = 0, next; kept != -1 && i < n; i = next) {
		for (next = i + 1; next < n; next++)
			if (strcmp(order[next]->client, order[i]->client) !=
				0 ||
			    strcmp(order[next]->user, order[i]->user) != 0)
				break;
		store_deletions_seek(&deletions, order[i]->client);
		kept = store_drop_deleted(
		    st, &deletions.now, order + i, next - i, err);
		if (kept > 0 &&
		    record_run(st, order + i, (size_t)kept, err) == -1)
			kept = -1;
		for (int64_t k = 0; k < kept; k++)
			kept_r[order[i + (size_t)k] - v] = true;
	}
	if (kept == -1) {
		(void)sqlite3_reset(deletions.stmt);
		return -1;
	}
	return db_walked(
	    st->db, deletions.stmt, deletions.rc, "deletions", err);
}

int
store_logins(
    struct store *st, const struct store_entry *v, size_t n, struct err *err)
{
	const struct store_entry **order;
	bool *kept;
	size_t logins = 0;
	int ret = 0;

	assert(v != NULL || n == 0);
	if (n == 0)
		return 0;
	order = malloc(n * sizeof(struct store_entry *));
	kept = calloc(n, sizeof(*kept));
	if (order == NULL || kept == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		ret = -1;
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		if (is_login(&v[i]))
			order[logins++] = &v[i];
	/* Neighbours in the table are written together. */
	qsort(order, logins, sizeof(struct store_entry *), by_client_and_user);
	if (logins > 0)
		ret = record_runs(st, order, logins, v, kept, err);
	for (size_t i = 0; ret == 0 && i < n; i++)
		if (is_login(&v[i]))
			ret = store_record_evidence(st, &v[i], err);
	if (ret == 0)
		ret = store_record_sessions(st, v, n, kept, err);
out:
	free(order);
	free(kept);
	return ret;
}
