/* SPDX-License-Identifier: ISC */
/* audit_scan - every row of a period, once, for who counts them: an aggregate
 * function takes the rows where SQLite has them, ten thousand a statement,
 * so that no read transaction lasts long. */
#include <string.h>

#include "common/base/err.h"
#include "common/base/fnv.h"
#include "common/db/audit.h"
#include "common/db/audit_reader.h"

/* A transaction that lasts keeps the write-ahead log from being moved into the
 * file: so many ids take some 10 ms. */
enum { SCAN_IDS = 10000 };

struct scan {
	void (*brief)(void *arg, const struct audit_brief *brief);
	bool (*use)(void *arg, const struct audit_use *use);
	void *arg;
	bool ended; /* use() returned false */
};

/* Of a walk of rows from since_ms to before until_ms (0: any). */
struct walk {
	const char *name; /* of the function in sql */
	int columns;
	void (*step)(sqlite3_context *context, int n, sqlite3_value **v);
	/* ?1 < id <= ?2, ?3 <= at < ?4 */
	const char *sql;
	int64_t since_ms, until_ms;
};

static const char *
text(sqlite3_value *v)
{
	return (const char *)sqlite3_value_text(v);
}

static struct audit_string
string(sqlite3_value *v)
{
	const char *p = text(v);

	return (struct audit_string){ p,
		p == NULL ? 0 : (size_t)sqlite3_value_bytes(v) };
}

/* The columns in the order of sql_brief. */
static void
step_brief(sqlite3_context *context, int n, sqlite3_value **v)
{
	const struct scan *s = sqlite3_user_data(context);
	const struct audit_brief brief = {
		.at_ms = sqlite3_value_int64(v[0]),
		.last_ms = sqlite3_value_int64(v[1]),
		.count = sqlite3_value_int64(v[2]),
		.client = string(v[3]),
		.sender = string(v[4]),
		.verdict = string(v[5]),
		.reason = string(v[6]),
		.auth_user = string(v[7]),
		.login_user = string(v[8]),
	};

	(void)n;
	s->brief(s->arg, &brief);
}

static const char sql_brief[] =
    "SELECT brief(at, coalesce(last_at, at), count, client, sender, verdict, "
    "reason, auth_user, login_user) FROM decision "
    "WHERE id > ?1 AND id <= ?2 AND at >= ?3 AND at < ?4 AND class = 'relay'";

/* What tells messages apart, as the view decision says it. Of millions of rows
 * only a hash is made: the text would be half of the work. */
static uint64_t
message_of(const char *channel, const char *session, const char *queue_id)
{
	uint64_t hash;

	if (channel == NULL || strcmp(channel, "socketmap") == 0)
		return 0;
	hash = fnv_add(FNV_START, session, strlen(session));
	if (strcmp(channel, "policy") != 0 && strchr(session, '.') == NULL) {
		hash = fnv_add(hash, "/", 1);
		hash = fnv_add(hash, queue_id, strlen(queue_id));
	}
	hash = fnv_mix(hash);
	return hash + (hash == 0);
}

static const char *
text_or_empty(sqlite3_value *v)
{
	const char *p = text(v);

	return p == NULL ? "" : p;
}

/* The columns in the order of sql_use. */
static void
step_use(sqlite3_context *context, int n, sqlite3_value **v)
{
	struct scan *s = sqlite3_user_data(context);
	const struct audit_use use = {
		.at_ms = sqlite3_value_int64(v[0]),
		.last_ms = sqlite3_value_int64(v[1]),
		.count = sqlite3_value_int64(v[2]),
		.client = text_or_empty(v[3]),
		.auth_user = text_or_empty(v[4]),
		.login_user = text_or_empty(v[5]),
		.by_login = sqlite3_value_int(v[6]) != 0,
		.helo = text_or_empty(v[7]),
		.sender = text_or_empty(v[8]),
		.message = message_of(
		    text(v[9]), text_or_empty(v[10]), text_or_empty(v[11])),
	};

	(void)n;
	if (!s->ended)
		s->ended = !s->use(s->arg, &use);
}

/* The view's rows and its accepts, without making its columns. */
#define SQL_USE(details)                                                    \
	"SELECT use(at, coalesce(last_at, at), count, client, "             \
	"auth_user, login_user, reason = 'recent-login' AND "               \
	"verdict = 'accept' AND reply IS NOT '" AUDIT_ABORTED "', " details \
	") FROM channel_decision "                                          \
	"WHERE id > ?1 AND id <= ?2 AND at >= ?3 AND at < ?4 "              \
	"AND count > 0 AND (auth_user IS NOT NULL OR "                      \
	"reason = 'recent-login' AND verdict = 'accept' "                   \
	"AND reply IS NOT '" AUDIT_ABORTED "')"

static const char sql_use[] = SQL_USE("NULL, NULL, NULL, NULL, NULL");
static const char sql_use_details[] =
    SQL_USE("helo, sender, channel, session, queue_id");

static void
final(sqlite3_context *context)
{
	sqlite3_result_null(context);
}

/* The first id behind after; INT64_MAX when there is none, -1 with err. */
static int64_t
next_id(struct audit_reader *r, int64_t after, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int64_t id = INT64_MAX;
	int rc;

	if (db_prepare(r->db,
		"SELECT min(id) FROM channel_decision WHERE id > ?1", &stmt,
		err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, after);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		id = sqlite3_column_int64(stmt, 0);
	if (rc != SQLITE_ROW) {
		db_err(r->db, "decisions", err);
		id = -1;
	}
	(void)sqlite3_finalize(stmt);
	return id;
}

/* The rows with first < id <= last, part by part. */
static int
scan_ids(struct audit_reader *r, const struct scan *s, sqlite3_stmt *stmt,
    int64_t first, int64_t last, struct err *err)
{
	int64_t id = 0;

	while (!s->ended && (id = next_id(r, first, err)) != -1 && id <= last &&
	    id != INT64_MAX) {
		int64_t end = id > last - SCAN_IDS ? last : id + SCAN_IDS - 1;

		(void)sqlite3_bind_int64(stmt, 1, id - 1);
		(void)sqlite3_bind_int64(stmt, 2, end);
		if (sqlite3_step(stmt) != SQLITE_ROW) {
			db_err(r->db, "decisions", err);
			return -1;
		}
		(void)sqlite3_reset(stmt);
		first = end;
	}
	return id == -1 ? -1 : 0;
}

static int
scan(struct audit_reader *r, const struct walk *w, struct scan *s,
    struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int64_t first, last;
	int ret = -1;

	if (audit_id_range(r, w->since_ms, w->until_ms, &first, &last, err) ==
	    -1)
		return -1;
	if (sqlite3_create_function_v2(r->db, w->name, w->columns, SQLITE_UTF8,
		s, NULL, w->step, final, NULL) != SQLITE_OK) {
		db_err(r->db, "decisions", err);
		return -1;
	}
	if (db_prepare(r->db, w->sql, &stmt, err) == 0) {
		(void)sqlite3_bind_int64(stmt, 3, w->since_ms);
		(void)sqlite3_bind_int64(
		    stmt, 4, w->until_ms == 0 ? INT64_MAX : w->until_ms);
		ret = scan_ids(r, s, stmt, first, last, err);
	}
	(void)sqlite3_finalize(stmt);
	return ret;
}

int
audit_scan(struct audit_reader *r, int64_t since_ms, int64_t until_ms,
    void (*fn)(void *arg, const struct audit_brief *brief), void *arg,
    struct err *err)
{
	struct scan s = { .brief = fn, .arg = arg };
	const struct walk w = { "brief", 9, step_brief, sql_brief, since_ms,
		until_ms };

	return scan(r, &w, &s, err);
}

int
audit_each_use(struct audit_reader *r, bool details,
    bool (*fn)(void *arg, const struct audit_use *use), void *arg,
    struct err *err)
{
	struct scan s = { .use = fn, .arg = arg };
	const struct walk w = { "use", 12, step_use,
		details ? sql_use_details : sql_use, 0, 0 };

	return scan(r, &w, &s, err);
}

int
audit_first_at(struct audit_reader *r, const char *client, int64_t *at_ms_r,
    struct err *err)
{
	int rc;

	*at_ms_r = 0;
	if (r->first_at == NULL &&
	    db_prepare(r->db,
		"SELECT at FROM channel_decision WHERE id = "
		"iif(?1 IS NULL, (SELECT min(id) FROM channel_decision), "
		"(SELECT min(id) FROM channel_decision WHERE client = ?1))",
		&r->first_at, err) == -1)
		return -1;
	(void)sqlite3_bind_text(r->first_at, 1, client, -1, SQLITE_STATIC);
	rc = sqlite3_step(r->first_at);
	if (rc == SQLITE_ROW)
		*at_ms_r = sqlite3_column_int64(r->first_at, 0);
	return db_walked(r->db, r->first_at, rc, "decisions", err);
}
