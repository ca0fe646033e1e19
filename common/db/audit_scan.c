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
	int64_t since_ms, until_ms; /* since <= at < until */
	bool ended; /* use() returned false */
};

struct walk {
	const char *name; /* of the function in sql */
	void (*step)(sqlite3_context *context, int n, sqlite3_value **v);
	const char *sql; /* ?1 < id <= ?2 */
};

/* The columns come as they are stored. Which rows count, and as what, is said
 * here as the view decision says it: done by SQLite, that took half of the
 * time of a walk. */
enum column {
	AT,
	LAST_AT,
	COUNT,
	CLIENT,
	VERDICT,
	REASON,
	REPLY,
	AUTH_USER,
	LOGIN_USER,
	SENDER, /* from here on only where asked for */
	RECIPIENT,
	CLASS,
	HELO = RECIPIENT,
	CHANNEL,
	SESSION,
	QUEUE_ID
};

#define SQL_WALK(function, more)                                    \
	"SELECT " function "(at, last_at, count, client, verdict, " \
	"reason, reply, auth_user, login_user" more ") "            \
	"FROM channel_decision WHERE id > ?1 AND id <= ?2"

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

static bool
is(struct audit_string text, const char *word)
{
	size_t n = strlen(word);

	return text.len == n && text.text != NULL &&
	    memcmp(text.text, word, n) == 0;
}

static int64_t
last_ms(sqlite3_value **v)
{
	return sqlite3_value_int64(
	    v[sqlite3_value_type(v[LAST_AT]) == SQLITE_NULL ? AT : LAST_AT]);
}

/* Is it a row of the view, and of this time? */
static bool
counts(const struct scan *s, sqlite3_value **v)
{
	int64_t at_ms = sqlite3_value_int64(v[AT]);

	return sqlite3_value_int64(v[COUNT]) > 0 && at_ms >= s->since_ms &&
	    at_ms < s->until_ms;
}

static const char sql_brief[] = SQL_WALK("brief", ", sender, recipient, class");

static void
step_brief(sqlite3_context *context, int n, sqlite3_value **v)
{
	static const struct audit_string none,
	    aborted = { AUDIT_ABORTED, sizeof(AUDIT_ABORTED) - 1 };
	const struct scan *s = sqlite3_user_data(context);

	(void)n;
	if (!counts(s, v) || !is(string(v[CLASS]), "relay"))
		return;
	struct audit_brief brief = {
		.at_ms = sqlite3_value_int64(v[AT]),
		.last_ms = last_ms(v),
		.count = sqlite3_value_int64(v[COUNT]),
		.client = string(v[CLIENT]),
		.sender = string(v[SENDER]),
		.verdict = string(v[VERDICT]),
		.reason = string(v[REASON]),
		.auth_user = string(v[AUTH_USER]),
		.login_user = string(v[LOGIN_USER]),
	};

	if (string(v[RECIPIENT]).len == 0)
		brief.sender = none;
	if (is(brief.verdict, "accept") && is(string(v[REPLY]), AUDIT_ABORTED))
		brief.verdict = aborted;
	s->brief(s->arg, &brief);
}

/* The message that a row belongs to, told apart as the view decision does; 0:
 * unknown. Of millions of rows only a hash is made: the text would be half of
 * the work. */
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

static const char sql_use[] = SQL_WALK("use", "");
static const char sql_use_details[] =
    SQL_WALK("use", ", sender, helo, channel, session, queue_id");

static void
add_details(struct audit_use *use, sqlite3_value **v)
{
	use->helo = text_or_empty(v[HELO]);
	use->sender = text_or_empty(v[SENDER]);
	use->message = message_of(text(v[CHANNEL]), text_or_empty(v[SESSION]),
	    text_or_empty(v[QUEUE_ID]));
}

static void
step_use(sqlite3_context *context, int n, sqlite3_value **v)
{
	struct scan *s = sqlite3_user_data(context);

	if (s->ended || !counts(s, v))
		return;
	struct audit_use use = {
		.auth_user = text_or_empty(v[AUTH_USER]),
		.by_login = is(string(v[REASON]), "recent-login") &&
		    is(string(v[VERDICT]), "accept") &&
		    !is(string(v[REPLY]), AUDIT_ABORTED),
		.helo = "",
		.sender = "",
	};

	if (!use.by_login && sqlite3_value_type(v[AUTH_USER]) == SQLITE_NULL)
		return;
	use.at_ms = sqlite3_value_int64(v[AT]);
	use.last_ms = last_ms(v);
	use.count = sqlite3_value_int64(v[COUNT]);
	use.client = text_or_empty(v[CLIENT]);
	use.login_user = text_or_empty(v[LOGIN_USER]);
	if (n > SENDER)
		add_details(&use, v);
	s->ended = !s->use(s->arg, &use);
}

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

/* until_ms 0: any time. */
static int
scan(struct audit_reader *r, const struct walk *w, struct scan *s,
    struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int64_t first, last;
	int ret = -1;

	if (audit_id_range(r, s->since_ms, s->until_ms, &first, &last, err) ==
	    -1)
		return -1;
	if (s->until_ms == 0)
		s->until_ms = INT64_MAX;
	if (sqlite3_create_function_v2(r->db, w->name, -1, SQLITE_UTF8, s, NULL,
		w->step, final, NULL) != SQLITE_OK) {
		db_err(r->db, "decisions", err);
		return -1;
	}
	if (db_prepare(r->db, w->sql, &stmt, err) == 0)
		ret = scan_ids(r, s, stmt, first, last, err);
	(void)sqlite3_finalize(stmt);
	return ret;
}

int
audit_scan(struct audit_reader *r, int64_t since_ms, int64_t until_ms,
    void (*fn)(void *arg, const struct audit_brief *brief), void *arg,
    struct err *err)
{
	struct scan s = { .brief = fn,
		.arg = arg,
		.since_ms = since_ms,
		.until_ms = until_ms };
	static const struct walk w = { "brief", step_brief, sql_brief };

	return scan(r, &w, &s, err);
}

int
audit_each_use(struct audit_reader *r, bool details,
    bool (*fn)(void *arg, const struct audit_use *use), void *arg,
    struct err *err)
{
	struct scan s = { .use = fn, .arg = arg };
	const struct walk w = { "use", step_use,
		details ? sql_use_details : sql_use };

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
