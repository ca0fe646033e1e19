#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "db.h"
#include "err.h"
#include "sql.h"

enum { READ_BUSY_MS = 5000 };

struct audit_reader {
	sqlite3 *db;
};

int
audit_open_reader(const char *path, struct audit_reader **r_r,
    struct err *err)
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
audit_close_reader(struct audit_reader **r)
{
	if (*r == NULL)
		return;
	(void)sqlite3_close((*r)->db);
	free(*r);
	*r = NULL;
}

static sqlite3_stmt *
prepare_filter(struct audit_reader *r, const struct audit_filter *f,
    struct err *err)
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
		{ f->user, " AND (auth_user = ? OR login_user = ?)" },
	};
	char sql[1000] = "SELECT id, at, session, queue_id, client, "
	    "client_name, helo, sender, recipient, class, verdict, reason, "
	    "auth_user, login_user, login_at, rule, reply, channel, mta "
	    "FROM decision WHERE id > ?1 AND at >= ?2 AND at < ?3";
	sqlite3_stmt *stmt = NULL;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (texts[i].value != NULL)
			strcat(sql, texts[i].sql);
	strcat(sql, f->newest_first ? " ORDER BY id DESC" : " ORDER BY id");
	if (f->limit > 0)
		(void)snprintf(sql + strlen(sql), 40, " LIMIT %lld",
		    (long long)f->limit);
	if (db_prepare(r->db, sql, &stmt, err) == -1)
		return NULL;
	int n = 4;

	(void)sqlite3_bind_int64(stmt, 1, f->after_id);
	(void)sqlite3_bind_int64(stmt, 2, f->since_ms);
	(void)sqlite3_bind_int64(stmt, 3, f->until_ms == 0 ? INT64_MAX :
	    f->until_ms);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const char *sqlp = texts[i].sql;

		for (; texts[i].value != NULL && (sqlp = strchr(sqlp, '?')) !=
		    NULL; sqlp++)
			(void)sqlite3_bind_text(stmt, n++, texts[i].value, -1,
			    SQLITE_STATIC);
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
		struct audit_record rec = {
			.id = sqlite3_column_int64(stmt, 0),
			.at_ms = sqlite3_column_int64(stmt, 1),
			.session = text(stmt, 2), .queue_id = text(stmt, 3),
			.client = text(stmt, 4),
			.client_name = text(stmt, 5), .helo = text(stmt, 6),
			.sender = text(stmt, 7), .recipient = text(stmt, 8),
			.class = text(stmt, 9), .verdict = text(stmt, 10),
			.reason = text(stmt, 11),
			.auth_user = text(stmt, 12),
			.login_user = text(stmt, 13),
			.login_at = sqlite3_column_int64(stmt, 14),
			.rule = sqlite3_column_int64(stmt, 15),
			.reply = text(stmt, 16), .channel = text(stmt, 17),
			.mta = text(stmt, 18)
		};

		more = fn(arg, &rec);
	}
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		db_err(r->db, "decisions", err);
	(void)sqlite3_finalize(stmt);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -1;
}
