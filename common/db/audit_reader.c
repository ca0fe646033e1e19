/* SPDX-License-Identifier: ISC */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/audit.h"
#include "common/db/audit_reader.h"
#include "common/db/sql.h"

enum { READ_BUSY_MS = 5000 };

int
audit_open_reader(const char *path, struct audit_reader **r_r, struct err *err)
{
	struct audit_reader *r = calloc(1, sizeof(*r));

	*r_r = NULL;
	if (r == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	if (db_open(path, DB_READ, READ_BUSY_MS, sql_audit, SQL_AUDIT_STEPS,
		&r->db, err) == -1) {
		free(r);
		return -1;
	}
	*r_r = r;
	return 0;
}

void
audit_watch(struct audit_reader *r, struct db_watch *w)
{
	db_watch(r->db, w);
}

void
audit_close_reader(struct audit_reader **r)
{
	if (*r == NULL)
		return;
	(void)sqlite3_finalize((*r)->first_at);
	(void)sqlite3_close((*r)->db);
	free(*r);
	*r = NULL;
}

int64_t
audit_version(struct audit_reader *r, struct err *err)
{
	return db_number(r->db, "PRAGMA data_version", err);
}

int
audit_each_count(struct audit_reader *r, int64_t first_id, int64_t last_id,
    bool (*fn)(void *arg, int64_t id, int64_t count, int64_t last_ms),
    void *arg, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	bool more = true;
	int rc = SQLITE_DONE;

	if (db_prepare(r->db,
		"SELECT id, count, coalesce(last_at, at) FROM channel_decision "
		"WHERE id >= ?1 AND id <= ?2 ORDER BY id",
		&stmt, err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, first_id);
	(void)sqlite3_bind_int64(stmt, 2, last_id);
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		more = fn(arg, sqlite3_column_int64(stmt, 0),
		    sqlite3_column_int64(stmt, 1),
		    sqlite3_column_int64(stmt, 2));
	rc = db_walked(r->db, stmt, rc, "decisions", err);
	(void)sqlite3_finalize(stmt);
	return rc;
}

int64_t
audit_id_near(struct audit_reader *r, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int64_t low = 0, high = INT64_MAX; /* it is in (low, high] */
	int rc = SQLITE_ROW;

	if (db_prepare(r->db,
		"SELECT id, at FROM channel_decision WHERE id >= ?1 "
		"ORDER BY id LIMIT 1",
		&stmt, err) == -1)
		return -1;
	while (high - low > 1 && (rc == SQLITE_ROW || rc == SQLITE_DONE)) {
		int64_t middle = low + (high - low) / 2;

		(void)sqlite3_bind_int64(stmt, 1, middle);
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_DONE)
			high = middle; /* no row there or behind */
		else if (rc == SQLITE_ROW &&
		    sqlite3_column_int64(stmt, 1) >= at_ms)
			high = middle;
		else if (rc == SQLITE_ROW)
			low = sqlite3_column_int64(stmt, 0);
		if (rc == SQLITE_ROW || rc == SQLITE_DONE)
			(void)sqlite3_reset(stmt);
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		db_err(r->db, "decisions", err);
		high = -1;
	}
	(void)sqlite3_finalize(stmt);
	return high;
}

int64_t
audit_id_since(struct audit_reader *r, int64_t since_ms, struct err *err)
{
	return audit_id_near(r, since_ms - AUDIT_DISORDER_MS, err);
}

int
audit_id_range(struct audit_reader *r, int64_t since_ms, int64_t until_ms,
    int64_t *first_r, int64_t *last_r, struct err *err)
{
	*first_r = 0;
	*last_r = INT64_MAX;
	if (since_ms > 0) {
		*first_r = audit_id_since(r, since_ms, err);
		if (*first_r == -1)
			return -1;
		--*first_r;
	}
	if (until_ms > 0 &&
	    (*last_r = audit_id_near(r, until_ms + AUDIT_DISORDER_MS, err)) ==
		-1)
		return -1;
	return 0;
}

static void
add_sql(char *sql, size_t size, const char *more)
{
	size_t at = strlen(sql), n = strlen(more);

	assert(n < size - at);
	memcpy(sql + at, more, n + 1);
}

static sqlite3_stmt *
prepare_filter(
    struct audit_reader *r, const struct audit_filter *f, struct err *err)
{
	const struct {
		const char *value, *sql;
	} texts[] = {
		{ f->client, " AND client = ?" },
		{ f->sender, " AND sender = ?" },
		{ f->recipient, " AND recipient IN (?, '<' || ? || '>')" },
		{ f->verdict, " AND verdict = ?" },
		{ f->reason, " AND reason = ?" },
		{ f->queue_id, " AND queue_id = ?" },
		{ f->user, " AND coalesce(auth_user, login_user) = ?" },
	};
	char sql[1000] =
	    "SELECT id, at, session, queue_id, client, "
	    "client_name, helo, sender, recipient, class, verdict, reason, "
	    "auth_user, login_user, login_at, rule, reply, channel, mta, "
	    "certificate, count, coalesce(last_at, at), ";
	int64_t first, last;
	sqlite3_stmt *stmt = NULL;

	add_sql(sql, sizeof(sql),
	    f->channels ? "NULL FROM channel_decision"
			: "message FROM decision");
	/* by id, or by the index of what is asked for */
	add_sql(sql, sizeof(sql),
	    " WHERE id > ?1 AND id <= ?4 AND at >= ?2 AND at < ?3");
	if (audit_id_range(r, f->since_ms, f->until_ms, &first, &last, err) ==
	    -1)
		return NULL;
	if (f->after_id > first)
		first = f->after_id;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (texts[i].value != NULL)
			add_sql(sql, sizeof(sql), texts[i].sql);
	add_sql(sql, sizeof(sql),
	    f->newest_first ? " ORDER BY id DESC" : " ORDER BY id");
	if (f->limit > 0) {
		char limit[32];

		(void)snprintf(
		    limit, sizeof(limit), " LIMIT %" PRId64, f->limit);
		add_sql(sql, sizeof(sql), limit);
	}
	if (db_prepare(r->db, sql, &stmt, err) == -1)
		return NULL;
	int n = 5;

	(void)sqlite3_bind_int64(stmt, 1, first);
	(void)sqlite3_bind_int64(stmt, 4, last);
	(void)sqlite3_bind_int64(stmt, 2, f->since_ms);
	(void)sqlite3_bind_int64(
	    stmt, 3, f->until_ms == 0 ? INT64_MAX : f->until_ms);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const char *sqlp = texts[i].sql;

		for (; texts[i].value != NULL &&
		     (sqlp = strchr(sqlp, '?')) != NULL;
		     sqlp++)
			(void)sqlite3_bind_text(
			    stmt, n++, texts[i].value, -1, SQLITE_STATIC);
	}
	return stmt;
}

/* NULL stays NULL here: "none" differs from "" */
static const char *
text(sqlite3_stmt *stmt, int col)
{
	return (const char *)sqlite3_column_text(stmt, col);
}

int
audit_each(struct audit_reader *r, const struct audit_filter *filter,
    bool (*fn)(void *arg, const struct audit_record *record), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = prepare_filter(r, filter, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct audit_record rec = { .id = sqlite3_column_int64(stmt, 0),
			.at_ms = sqlite3_column_int64(stmt, 1),
			.session = text(stmt, 2),
			.queue_id = text(stmt, 3),
			.client = text(stmt, 4),
			.client_name = text(stmt, 5),
			.helo = text(stmt, 6),
			.sender = text(stmt, 7),
			.recipient = text(stmt, 8),
			.class = text(stmt, 9),
			.verdict = text(stmt, 10),
			.reason = text(stmt, 11),
			.auth_user = text(stmt, 12),
			.login_user = text(stmt, 13),
			.login_at = sqlite3_column_int64(stmt, 14),
			.rule = sqlite3_column_int64(stmt, 15),
			.reply = text(stmt, 16),
			.channel = text(stmt, 17),
			.mta = text(stmt, 18),
			.certificate = text(stmt, 19),
			.count = sqlite3_column_int64(stmt, 20),
			.last_ms = sqlite3_column_int64(stmt, 21),
			.message = text(stmt, 22) };

		rec.aborted =
		    rec.reply != NULL && strcmp(rec.reply, AUDIT_ABORTED) == 0;

		more = fn(arg, &rec);
	}
	rc = db_walked(r->db, stmt, rc, "decisions", err);
	(void)sqlite3_finalize(stmt);
	return rc;
}

#define GROUP_COLUMNS                                                    \
	"sum(count), sum((verdict = 'accept') * count), "                \
	"sum((verdict = 'reject') * count), "                            \
	"sum((verdict = 'tempfail') * count), "                          \
	"count(DISTINCT message), "                                      \
	"count(DISTINCT sender), count(DISTINCT client), "               \
	"count(DISTINCT coalesce(auth_user, login_user)), min(at), "     \
	"max(coalesce(last_at, at)), "                                   \
	"sum((verdict IN ('would-reject', 'would-tempfail')) * count), " \
	"sum((verdict = '" AUDIT_ABORTED "') * count) FROM decision "

static int
each_group(struct audit_reader *r, sqlite3_stmt *stmt,
    bool (*fn)(void *arg, const struct audit_group *group), void *arg,
    struct err *err)
{
	bool more = true;
	int rc = SQLITE_DONE;

	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct audit_group g = { .key = db_text(stmt, 0),
			.recipients = sqlite3_column_int64(stmt, 1),
			.accepted = sqlite3_column_int64(stmt, 2),
			.rejected = sqlite3_column_int64(stmt, 3),
			.tempfailed = sqlite3_column_int64(stmt, 4),
			.messages = sqlite3_column_int64(stmt, 5),
			.senders = sqlite3_column_int64(stmt, 6),
			.clients = sqlite3_column_int64(stmt, 7),
			.users = sqlite3_column_int64(stmt, 8),
			.first_ms = sqlite3_column_int64(stmt, 9),
			.last_ms = sqlite3_column_int64(stmt, 10),
			.would_refuse = sqlite3_column_int64(stmt, 11),
			.aborted = sqlite3_column_int64(stmt, 12) };

		more = fn(arg, &g);
	}
	rc = db_walked(r->db, stmt, rc, "decisions", err);
	(void)sqlite3_finalize(stmt);
	return rc;
}

int
audit_each_group(struct audit_reader *r, const struct audit_group_query *q,
    bool (*fn)(void *arg, const struct audit_group *group), void *arg,
    struct err *err)
{
	static const char *const keys[] = {
		[AUDIT_BY_HOUR] = "strftime('%Y-%m-%d %H:00', at / 1000, "
				  "'unixepoch', 'localtime')",
		[AUDIT_BY_DAY] = "strftime('%Y-%m-%d', at / 1000, "
				 "'unixepoch', 'localtime')",
		[AUDIT_BY_CLIENT] = "+client",
		[AUDIT_BY_USER] = "+coalesce(auth_user, login_user)",
		[AUDIT_BY_SENDER] = "coalesce(sender, '(not told)')",
		[AUDIT_BY_RECIPIENT] = "coalesce(lower(trim(recipient, '<>')), "
				       "'(not told)')",
		[AUDIT_BY_REASON] = "reason"
	};
	sqlite3_stmt *stmt = NULL;
	int64_t first, last;
	/* +: these are walked by id, not by another index */
	char sql[1800];

	assert((size_t)q->by < sizeof(keys) / sizeof(keys[0]));
	if (audit_id_range(r, q->since_ms, q->until_ms, &first, &last, err) ==
	    -1)
		return -1;
	(void)snprintf(sql, sizeof(sql),
	    "SELECT %s, " GROUP_COLUMNS
	    "WHERE id > ?7 AND id <= ?8 AND at >= ?1 AND at < ?2 "
	    "AND class = 'relay'%s GROUP BY 1 "
	    "HAVING (?4 > 0 AND count(DISTINCT sender) >= ?4) OR "
	    "(?5 > 0 AND sum(count) >= ?5) OR "
	    "(?6 > 0 AND sum((verdict NOT IN ('accept', '" AUDIT_ABORTED
	    "')) * count) >= ?6) OR "
	    "?4 + ?5 + ?6 = 0 ORDER BY %s LIMIT ?3",
	    keys[q->by],
	    q->by == AUDIT_BY_USER
		? " AND +coalesce(auth_user, login_user) IS NOT NULL"
		: "",
	    q->largest_first ? "2 DESC, 1" : "1");
	if (db_prepare(r->db, sql, &stmt, err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, q->since_ms);
	(void)sqlite3_bind_int64(
	    stmt, 2, q->until_ms == 0 ? INT64_MAX : q->until_ms);
	(void)sqlite3_bind_int64(stmt, 3, q->limit == 0 ? -1 : q->limit);
	(void)sqlite3_bind_int64(stmt, 4, q->senders_min);
	(void)sqlite3_bind_int64(stmt, 5, q->recipients_min);
	(void)sqlite3_bind_int64(stmt, 6, q->rejected_min);
	(void)sqlite3_bind_int64(stmt, 7, first);
	(void)sqlite3_bind_int64(stmt, 8, last);
	return each_group(r, stmt, fn, arg, err);
}

int64_t
audit_tally(struct audit_reader *r, int64_t since_ms, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int64_t n = -1;

	if (db_prepare(r->db,
		"SELECT coalesce(sum(recipients), 0) FROM tally "
		"WHERE hour >= ?1 / 3600000 * 3600",
		&stmt, err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, since_ms);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		n = sqlite3_column_int64(stmt, 0);
	else
		db_err(r->db, "tally", err);
	(void)sqlite3_finalize(stmt);
	return n;
}
