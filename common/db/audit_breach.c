/* audit_breach - what was relayed before a limit was reached, and who is denied
 * for it: the reading of audit.db by breaches. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"
#include "common/db/audit.h"
#include "common/db/audit_reader.h"
#include "common/db/sql.h"

enum { LIFT_BUSY_MS = 10000, LIFT_TRIES = 20000 };

const char *
audit_kind(bool is_user, bool by_login)
{
	return !is_user ? "client" : by_login ? "login" : "user";
}

static bool
is(sqlite3_stmt *stmt, int col, const char *kind)
{
	return strcmp(db_text(stmt, col), kind) == 0;
}

static const char *
text(sqlite3_stmt *stmt, int col)
{
	return (const char *)sqlite3_column_text(stmt, col);
}

static void
bind(sqlite3_stmt *stmt, int i, const char *value)
{
	(void)sqlite3_bind_text(stmt, i, value, -1, SQLITE_STATIC);
}

/* How a walk ended: 0 or -1, and the statement is gone. */
static int
end(sqlite3 *db, sqlite3_stmt *stmt, int rc, const char *what, struct err *err)
{
	bool ok = rc == SQLITE_DONE || rc == SQLITE_ROW;

	if (!ok)
		db_err(db, what, err);
	(void)sqlite3_finalize(stmt);
	return ok ? 0 : -1;
}

/* Not before this id: *cut_r when there would have been earlier ones. */
static int
first_id(struct audit_reader *r, int64_t since_ms, int64_t rows_max,
    int64_t *first_r, bool *cut_r, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int64_t newest = 0;
	int rc;

	*cut_r = false;
	*first_r = audit_id_near(r, since_ms - AUDIT_DISORDER_MS, err);
	if (*first_r == -1 ||
	    db_prepare(r->db,
		"SELECT coalesce(max(id), 0) "
		"FROM decision",
		&stmt, err) == -1)
		return -1;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		newest = sqlite3_column_int64(stmt, 0);
	if (newest - rows_max >= *first_r) {
		*first_r = newest - rows_max + 1;
		*cut_r = true;
	}
	return end(r->db, stmt, rc, "decisions", err);
}

int
audit_each_relayed(struct audit_reader *r, int64_t since_ms, const char *client,
    const char *user, int64_t rows_max, bool *cut_r,
    bool (*fn)(void *arg, const struct audit_record *record), void *arg,
    struct err *err)
{
	static const char columns[] =
	    "SELECT id, at, client, sender, reason, auth_user, "
	    "login_user, session, queue_id, channel, recipient, "
	    "coalesce(reply, '') = 'aborted' FROM decision "
	    "WHERE at >= ?2 AND verdict = 'accept' AND class = 'relay'";
	char sql[600];
	bool prefix = client != NULL && *client != '\0' &&
	    client[strlen(client) - 1] == ':';
	sqlite3_stmt *stmt = NULL;
	bool more = true, cut;
	int64_t first;
	int rc = SQLITE_DONE;

	if (first_id(r, since_ms, rows_max, &first, &cut, err) == -1)
		return -1;
	if (cut_r != NULL)
		*cut_r = cut;
	/* +: not by the id, but by the index of clients */
	(void)snprintf(sql, sizeof(sql), "%s%s%s%s ORDER BY id", columns,
	    prefix ? " AND +id >= ?1 AND client >= ?3 AND client < "
		     "substr(?3, 1, length(?3) - 1) || ';'"
		   : " AND id >= ?1",
	    client != NULL && !prefix ? " AND client = ?3" : "",
	    user != NULL ? " AND coalesce(auth_user, login_user) = ?4" : "");
	if (db_prepare(r->db, sql, &stmt, err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, first);
	(void)sqlite3_bind_int64(stmt, 2, since_ms);
	if (client != NULL)
		bind(stmt, 3, client);
	if (user != NULL)
		bind(stmt, 4, user);
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct audit_record rec = { .id = sqlite3_column_int64(stmt, 0),
			.at_ms = sqlite3_column_int64(stmt, 1),
			.client = text(stmt, 2),
			.sender = text(stmt, 3),
			.reason = text(stmt, 4),
			.auth_user = text(stmt, 5),
			.login_user = text(stmt, 6),
			.session = text(stmt, 7),
			.queue_id = text(stmt, 8),
			.channel = text(stmt, 9),
			.recipient = text(stmt, 10),
			.aborted = sqlite3_column_int(stmt, 11) != 0 };

		more = fn(arg, &rec);
	}
	return end(r->db, stmt, rc, "decisions", err);
}

#define LIFTED                                                          \
	"(SELECT max(l.at) FROM lift AS l WHERE l.subject = b.subject " \
	"AND l.kind = b.kind AND l.at >= b.at)"
#define BREACH(newest)                                         \
	"SELECT " newest ", kind, subject, setting, allowed, " \
	"client, user, sender, denied_until, " LIFTED " FROM breach AS b "

static int
each_breach(struct audit_reader *r, sqlite3_stmt *stmt,
    bool (*fn)(void *arg, const struct audit_breach *breach), void *arg,
    struct err *err)
{
	bool more = true;
	int rc = SQLITE_DONE;

	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct audit_breach b = { .at_ms =
					      sqlite3_column_int64(stmt, 0),
			.is_user = !is(stmt, 1, "client"),
			.by_login = is(stmt, 1, "login"),
			.subject = text(stmt, 2),
			.setting = text(stmt, 3),
			.allowed = text(stmt, 4),
			.client = text(stmt, 5),
			.user = text(stmt, 6),
			.sender = text(stmt, 7),
			.denied_until = sqlite3_column_int64(stmt, 8),
			.lifted_at_ms = sqlite3_column_int64(stmt, 9) };

		more = fn(arg, &b);
	}
	return end(r->db, stmt, rc, "breaches", err);
}

int
audit_each_breach(struct audit_reader *r, int64_t since_ms, bool is_user,
    const char *subject,
    bool (*fn)(void *arg, const struct audit_breach *breach), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = NULL;

	if (db_prepare(r->db,
		subject == NULL
		    ? BREACH("at") "WHERE at >= ?1 ORDER BY at, id"
		    : BREACH("at") "WHERE at >= ?1 AND subject = ?2 AND "
				   "(kind <> 'client') = ?3 ORDER BY at, id",
		&stmt, err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, since_ms);
	if (subject != NULL) {
		bind(stmt, 2, subject);
		(void)sqlite3_bind_int(stmt, 3, is_user);
	}
	return each_breach(r, stmt, fn, arg, err);
}

int
audit_each_denial(struct audit_reader *r, int64_t now,
    bool (*fn)(void *arg, const struct audit_breach *breach), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = NULL;

	/* max() makes the other columns those of its row */
	if (db_prepare(r->db,
		BREACH(
		    "max(at)") "WHERE denied_until > ?1 "
			       "AND " LIFTED
			       " IS NULL GROUP BY kind, subject ORDER BY kind, "
			       "subject",
		&stmt, err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, now);
	return each_breach(r, stmt, fn, arg, err);
}

int
audit_each_lift(struct audit_reader *r, int64_t since_ms,
    bool (*fn)(void *arg, const struct audit_lift *lift), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	bool more = true;
	int rc = SQLITE_DONE;

	if (db_prepare(r->db,
		"SELECT at, kind, subject, who FROM lift "
		"WHERE at >= ?1 ORDER BY at, id",
		&stmt, err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, since_ms);
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct audit_lift l = { .at_ms = sqlite3_column_int64(stmt, 0),
			.is_user = !is(stmt, 1, "client"),
			.by_login = is(stmt, 1, "login"),
			.subject = text(stmt, 2),
			.who = text(stmt, 3) };

		more = fn(arg, &l);
	}
	return end(r->db, stmt, rc, "lifts", err);
}

/* A busy writer leaves the lock for a millisecond or so between two
 * transactions of a second: SQLite's own handler, which sleeps longer and
 * longer, might miss that for minutes. */
static int
try_again(void *arg, int times)
{
	const struct timespec pause = { .tv_nsec = 500000 };

	(void)arg;
	(void)nanosleep(&pause, NULL);
	return times < LIFT_TRIES;
}

int
audit_lift(const char *path, const struct audit_lift *lift, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db;
	int ret = -1;

	if (db_open(path, DB_WRITE, LIFT_BUSY_MS, sql_audit, SQL_AUDIT_STEPS,
		&db, err) == -1)
		return -1;
	(void)sqlite3_busy_handler(db, try_again, NULL);
	/* popgate-milter does that, and takes note when others do */
	(void)sqlite3_wal_autocheckpoint(db, 0);
	/* one statement, one transaction: both or neither */
	if (db_prepare(db,
		"INSERT INTO lift (at, kind, subject, who) SELECT ?1, "
		"column1, ?3, ?4 FROM (VALUES (?2), ('login')) "
		"WHERE column1 = ?2 OR ?2 = 'user'",
		&stmt, err) == 0) {
		(void)sqlite3_bind_int64(stmt, 1, lift->at_ms);
		bind(stmt, 2, audit_kind(lift->is_user, false));
		bind(stmt, 3, lift->subject);
		bind(stmt, 4, lift->who);
		ret = db_run(db, stmt, "lift", err);
	}
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return ret;
}
