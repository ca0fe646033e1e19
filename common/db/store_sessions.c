/* SPDX-License-Identifier: ISC */
/* store_sessions - which sessions are open, and what that does to the expiry of
 * their logins. Of a login's open sessions, the one that counts longest (of
 * equal ones the first by the index) carries window_at and until_at. For it:
 *
 *   window_at   what expires_at would be without open sessions
 *   until_at    when the session's lease ends: policy/judge.c sets it
 *   expires_at <= max(window_at, until_at)
 *
 * No end of a session moves expires_at forward: when an admin moves it back by
 * hand, it stays there. */
#include "common/db/store.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/store_inside.h"

enum {
	/* how many are dropped at once when there are too many, so that they
	 * are rarely counted */
	DROP_SLACK = STORE_SESSIONS_MAX / 1000,
	/* the clock of a server may have been set back by so much since the
	 * session began */
	BACK_S = LOGIN_FUTURE_S,
	/* An end that may be logged before its login: so long it is remembered,
	 * and by so much its stamp may be earlier. */
	UNORDERED_S = 60,
	EARLY_S = 2,
	/* so long a server is known to log the ends of its sessions */
	PROOF_S = 86400,
};

#define KEY "id = ?1 AND source = ?2 AND server = ?3 AND host = ?4"

static void
bind_key(sqlite3_stmt *stmt, const struct store_entry *e)
{
	store_bind_text(stmt, 1, e->session);
	store_bind_text(stmt, 2, e->source);
	store_bind_text(stmt, 3, e->server);
	store_bind_text(stmt, 4, e->host);
}

/* --- the login of a session --- */

#define OF_LOGIN "WHERE client = ?1 AND user = ?2"

/* The session of the login that counts longest. */
#define LONGEST "FROM session " OF_LOGIN " ORDER BY until_at DESC LIMIT 1"

static const char window_sql[] =
    "UPDATE session SET window_at = max(window_at, ?3) WHERE (id, source, "
    "server, host) = (SELECT id, source, server, host " LONGEST ")";

int
store_sessions_window(struct store *st, const char *client, const char *user,
    int64_t window_at, struct err *err)
{
	sqlite3_stmt *stmt;

	if (st->sessions == 0)
		return 0;
	stmt = store_stmt(st, window_sql, err);
	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, client);
	store_bind_text(stmt, 2, user);
	(void)sqlite3_bind_int64(stmt, 3, window_at);
	return db_run(st->db, stmt, "session", err);
}

static const char settle_sql[] =
    "UPDATE login SET expires_at = min(expires_at, max(?3, "
    "coalesce((SELECT max(until_at) FROM session " OF_LOGIN "), 0), "
    "coalesce((SELECT window_at " LONGEST "), 0))) " OF_LOGIN;

/* A session of the login has been taken away or shortened: make its row say so.
 *   window_at  what the row would say without sessions */
static int
settle(struct store *st, const char *client, const char *user,
    int64_t window_at, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, settle_sql, err);

	if (stmt == NULL ||
	    store_sessions_window(st, client, user, window_at, err) == -1)
		return -1;
	store_bind_text(stmt, 1, client);
	store_bind_text(stmt, 2, user);
	(void)sqlite3_bind_int64(stmt, 3, window_at);
	return db_run(st->db, stmt, "session", err);
}

/* --- many sessions --- */

static const char delete_sql[] = "DELETE FROM session WHERE " KEY;
static const char shorten_sql[] = "UPDATE session SET until_at = ?5 "
				  "WHERE " KEY;

#define SELECT_SESSIONS                                                       \
	"SELECT id, source, server, host, client, user, began_at, until_at, " \
	"window_at FROM session "

/* Take away, or shorten to max_s, the session that stmt stands at. */
static int
change_one(struct store *st, sqlite3_stmt *stmt, int64_t ended_at,
    int64_t max_s, struct err *err)
{
	sqlite3_stmt *change =
	    store_stmt(st, max_s == 0 ? delete_sql : shorten_sql, err);
	int64_t until_at = sqlite3_column_int64(stmt, 7);
	int64_t window_at = sqlite3_column_int64(stmt, 8);

	if (change == NULL)
		return -1;
	for (int i = 0; i < 4; i++)
		store_bind_text(change, i + 1, db_text(stmt, i));
	if (max_s != 0)
		(void)sqlite3_bind_int64(
		    change, 5, sqlite3_column_int64(stmt, 6) + max_s);
	if (db_run(st->db, change, "session", err) == -1)
		return -1;
	if (ended_at > until_at)
		ended_at = until_at;
	return *db_text(stmt, 4) == '\0'
	    ? 0
	    : settle(st, db_text(stmt, 4), db_text(stmt, 5),
		  ended_at > window_at ? ended_at : window_at, err);
}

/* Take away, or shorten to max_s, the sessions that stmt selects. It may be
 * changed under the walk: every row is visited once or not at all.
 *   ended_at  their end plus the window; 0: not known
 *   max_s     0: take away
 * Returns how many, or -1. */
static int
change_selected(struct store *st, sqlite3_stmt *stmt, int64_t ended_at,
    int64_t max_s, struct err *err)
{
	int rc, n = 0;

	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (change_one(st, stmt, ended_at, max_s, err) == -1) {
			(void)sqlite3_reset(stmt);
			return -1;
		}
		n++;
	}
	if (max_s == 0 && st->sessions != -1)
		st->sessions = st->sessions > n ? st->sessions - n : -1;
	return db_walked(st->db, stmt, rc, "sessions", err) == -1 ? -1 : n;
}

static const char of_server_sql[] =
    SELECT_SESSIONS "WHERE (?1 = '' OR source = ?1) "
		    "AND (?2 = '' OR (server = ?2 AND host = ?3)) "
		    "AND began_at <= ?4";

/* End the sessions of a server at a host that began at latest or earlier; of a
 * source ("" any), of all servers ("") of it. */
static int
end_of_server(struct store *st, const char *source, const char *server,
    const char *host, int64_t latest, int64_t ended_at, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, of_server_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, source);
	store_bind_text(stmt, 2, server);
	store_bind_text(stmt, 3, host);
	(void)sqlite3_bind_int64(stmt, 4, latest);
	return change_selected(st, stmt, ended_at, 0, err);
}

int
store_sessions_end(struct store *st, const char *source, struct err *err)
{
	return end_of_server(
	    st, source == NULL ? "" : source, "", "", INT64_MAX, 0, err);
}

static const char too_long_sql[] =
    SELECT_SESSIONS "WHERE until_at > began_at + ?1";

int
store_sessions_limit(struct store *st, int64_t max_s, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, too_long_sql, err);

	assert(max_s > 0);
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, max_s);
	return change_selected(st, stmt, 0, max_s, err);
}

static const char over_sql[] =
    SELECT_SESSIONS "WHERE until_at <= ?1 ORDER BY until_at LIMIT ?2";

int
store_sessions_expire(struct store *st, int64_t now, int limit, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, over_sql, err);

	assert(limit > 0);
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, now);
	(void)sqlite3_bind_int(stmt, 2, limit);
	return change_selected(st, stmt, 0, 0, err);
}

static const char count_sql[] = "SELECT count(*) FROM session";

static int
count_sessions(struct store *st, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, count_sql, err);

	if (stmt == NULL)
		return -1;
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		st->sessions = sqlite3_column_int64(stmt, 0);
	return db_walked(st->db, stmt, rc, "sessions", err);
}

/* Other statements take sessions away, too, so before any is dropped they are
 * counted. */
static int
drop_oldest(struct store *st, struct err *err)
{
	if (st->sessions != -1 && st->sessions <= STORE_SESSIONS_MAX)
		return 0;
	if (count_sessions(st, err) == -1)
		return -1;
	if (st->sessions <= STORE_SESSIONS_MAX)
		return 0;
	int64_t n = st->sessions - STORE_SESSIONS_MAX + DROP_SLACK;

	return store_sessions_expire(st, INT64_MAX, (int)n, err) == -1 ? -1 : 0;
}

/* --- one session --- */

static const char insert_sql[] =
    "INSERT OR REPLACE INTO session (id, source, server, host, client, user, "
    "service, began_at, until_at, window_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
    "?7, ?8, ?9, coalesce((SELECT window_at FROM session WHERE client = ?5 "
    "AND user = ?6 ORDER BY until_at DESC LIMIT 1), (SELECT expires_at FROM "
    "login WHERE client = ?5 AND user = ?6), 0))";

/* A row of client "" is no session but a note: of a server that has shown that
 * it logs ends (id ""), or of an end whose login may be still to come. */
static int
insert(struct store *st, const struct store_entry *e, const char *client,
    const char *user, const char *service, int64_t until_at, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, insert_sql, err);

	if (stmt == NULL)
		return -1;
	bind_key(stmt, e);
	store_bind_text(stmt, 5, client);
	store_bind_text(stmt, 6, user);
	store_bind_text(stmt, 7, service);
	(void)sqlite3_bind_int64(stmt, 8, e->at);
	(void)sqlite3_bind_int64(stmt, 9, until_at);
	if (db_run(st->db, stmt, "session", err) == -1)
		return -1;
	if (st->sessions != -1)
		st->sessions++;
	return 0;
}

static const char note_sql[] = "SELECT EXISTS (SELECT 1 FROM session WHERE " KEY
			       " AND client = '' AND until_at >= ?5)";

/* Is there a note for this key that holds at? 1, 0, or -1. */
static int
find_note(
    struct store *st, const struct store_entry *e, int64_t at, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, note_sql, err);
	int found = 0;

	if (stmt == NULL)
		return -1;
	bind_key(stmt, e);
	(void)sqlite3_bind_int64(stmt, 5, at);
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		found = sqlite3_column_int(stmt, 0);
	return db_walked(st->db, stmt, rc, "sessions", err) == -1 ? -1 : found;
}

static const char of_id_sql[] = SELECT_SESSIONS
    "WHERE " KEY " AND (?5 = '' OR user = ?5) AND began_at <= ?6";

/* Take away the session, or note, of e's id. Returns how many: 1 or 0; or
 * -1.
 *   user  whose it must be; "": anybody's */
static int
take_away(struct store *st, const struct store_entry *e, const char *user,
    int64_t latest, int64_t ended_at, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, of_id_sql, err);

	if (stmt == NULL)
		return -1;
	bind_key(stmt, e);
	store_bind_text(stmt, 5, user);
	(void)sqlite3_bind_int64(stmt, 6, latest);
	return change_selected(st, stmt, ended_at, 0, err);
}

static struct store_entry
proof_of(const struct store_entry *e)
{
	struct store_entry proof = *e;

	proof.session = "";
	return proof;
}

static int
end_session(struct store *st, const struct store_entry *e, struct err *err)
{
	int n = take_away(st, e, e->user, e->at + BACK_S, e->expires_at, err);

	if (n == 0 && e->unordered)
		n = insert(st, e, "", "", "", e->at + UNORDERED_S, err);
	if (n != -1 && e->proof) {
		struct store_entry proof = proof_of(e);

		n = insert(st, &proof, "", "", "", e->at + PROOF_S, err);
	}
	return n == -1 ? -1 : 0;
}

static const char extend_sql[] = "UPDATE login SET expires_at = "
				 "max(expires_at, ?3) " OF_LOGIN;

/* May the session of e be followed? 1, 0, or -1. */
static int
may_follow(struct store *st, const struct store_entry *e, struct err *err)
{
	const struct store_entry proof = proof_of(e);
	int proven = e->proof ? find_note(st, &proof, e->at, err) : 1;
	int ended = e->unordered
	    ? find_note(st, e, e->at + UNORDERED_S - EARLY_S, err)
	    : 0;

	return proven == -1 || ended == -1 ? -1 : proven == 1 && ended == 0;
}

/* A session of the same id must have ended, or is the same one, read again.
 *   kept  the login of e is in the table */
static int
begin_session(
    struct store *st, const struct store_entry *e, bool kept, struct err *err)
{
	sqlite3_stmt *extend = store_stmt(st, extend_sql, err);
	int follow = may_follow(st, e, err);

	if (extend == NULL || follow == -1 ||
	    take_away(st, e, "", INT64_MAX, 0, err) == -1)
		return -1;
	if (follow == 0 || !kept || e->until_at <= e->expires_at)
		return 0;
	if (insert(st, e, e->client, e->user, e->service, e->until_at, err) ==
	    -1)
		return -1;
	store_bind_text(extend, 1, e->client);
	store_bind_text(extend, 2, e->user);
	(void)sqlite3_bind_int64(extend, 3, e->until_at);
	return db_run(st->db, extend, "session", err);
}

int
store_record_sessions(struct store *st, const struct store_entry *v, size_t n,
    const bool *kept, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc != -1 && i < n; i++) {
		const struct store_entry *e = &v[i];

		if (e->kind == SESSION_BEGIN)
			rc = begin_session(st, e, kept[i], err);
		else if (e->kind == SESSION_END)
			rc = end_session(st, e, err);
		else if (e->kind == SESSION_END_ALL)
			rc = end_of_server(st, e->source, e->server, e->host,
			    e->at + BACK_S, e->expires_at, err);
	}
	return rc == -1 ? -1 : drop_oldest(st, err);
}
