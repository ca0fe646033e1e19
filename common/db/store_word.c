/* SPDX-License-Identifier: ISC */
/* The part of store_share.h about logins and words of other machines: what they
 * make of the tables, in whichever order they come. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/store_inside.h"
#include "common/db/store_share.h"

static const char *const kinds[WORD_KINDS] = {
	[WORD_ADD] = "add",
	[WORD_DELETE] = "delete",
	[WORD_DENY_CLIENT] = "deny-client",
	[WORD_DENY_USER] = "deny-user",
	[WORD_BREACH_CLIENT] = "breach-client",
	[WORD_BREACH_USER] = "breach-user",
	[WORD_BREACH_LOGIN] = "breach-login",
};

/* A statement with kind, subject and user bound as 1, 2 and 3. NULL with err.
 */
static sqlite3_stmt *
word_stmt(struct store *st, const char *sql, const struct store_word *w,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, sql, err);

	assert(w->kind < WORD_KINDS);
	if (stmt == NULL)
		return NULL;
	store_bind_text(stmt, 1, kinds[w->kind]);
	store_bind_text(stmt, 2, w->subject);
	store_bind_text(stmt, 3, w->user);
	return stmt;
}

static const char word_at_sql[] =
    "SELECT at FROM word WHERE kind = ?1 AND subject = ?2 AND user = ?3";

/* When the word that is kept of its kind and subject was said; *at_r is
 * INT64_MIN without one. 0, or -1 with err. */
static int
word_at(struct store *st, const struct store_word *w, int64_t *at_r,
    struct err *err)
{
	sqlite3_stmt *stmt = word_stmt(st, word_at_sql, w, err);

	*at_r = INT64_MIN;
	if (stmt == NULL)
		return -1;
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		*at_r = sqlite3_column_int64(stmt, 0);
	return db_walked(st->db, stmt, rc, "words", err);
}

/* The later word holds, of the same second the one that ends later. */
static const char word_keep_sql[] =
    "INSERT INTO word (kind, subject, user, at, until, note, told_at) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
    "ON CONFLICT (kind, subject, user) DO UPDATE SET at = excluded.at, "
    "until = excluded.until, note = excluded.note, "
    "told_at = excluded.told_at "
    "WHERE (excluded.at, excluded.until) > (at, until)";

/* Returns 1 when it is kept, 0 when another one holds, or -1 with err. */
static int
word_keep(struct store *st, const struct store_word *w, int64_t told_at,
    struct err *err)
{
	sqlite3_stmt *stmt = word_stmt(st, word_keep_sql, w, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 4, w->at);
	(void)sqlite3_bind_int64(stmt, 5, w->until);
	store_bind_text(stmt, 6, w->note);
	(void)sqlite3_bind_int64(stmt, 7, told_at);
	if (db_run(st->db, stmt, "word", err) == -1)
		return -1;
	return sqlite3_changes(st->db) > 0;
}

/* --- telling --- */

static const char untold_sql[] =
    "SELECT kind, subject, user, at, until, note FROM word "
    "WHERE told_at < ?1 ORDER BY told_at LIMIT ?2";

static enum store_word_kind
kind_of(const char *name)
{
	int kind = WORD_KINDS - 1;

	while (kind > 0 && strcmp(kinds[kind], name) != 0)
		kind--;
	return (enum store_word_kind)kind;
}

static struct store_word
word_columns(sqlite3_stmt *stmt)
{
	return (struct store_word){
		.kind = kind_of(db_text(stmt, 0)),
		.subject = db_text(stmt, 1),
		.user = db_text(stmt, 2),
		.at = sqlite3_column_int64(stmt, 3),
		.until = sqlite3_column_int64(stmt, 4),
		.note = db_text(stmt, 5),
	};
}

int
store_word_each_untold(struct store *st, int64_t before, int limit,
    void (*fn)(void *arg, const struct store_word *word), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, untold_sql, err);
	int rc;

	assert(limit > 0);
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, before);
	(void)sqlite3_bind_int(stmt, 2, limit);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct store_word word = word_columns(stmt);

		fn(arg, &word);
	}
	return db_walked(st->db, stmt, rc, "words", err);
}

static const char breaches_sql[] =
    "SELECT kind, subject, user, at, until, note FROM word "
    "WHERE told_at >= ?1 AND kind >= 'breach-' AND kind < 'breach.'";

int
store_each_breach_word(struct store *st, int64_t told_since,
    bool (*fn)(void *arg, const struct store_word *word), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, breaches_sql, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, told_since);
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct store_word word = word_columns(stmt);

		more = fn(arg, &word);
	}
	return db_walked(st->db, stmt, rc, "words", err);
}

/* A newer word, which came meanwhile, is still to be told. */
static const char told_sql[] =
    "UPDATE word SET told_at = max(told_at, ?4) WHERE kind = ?1 AND "
    "subject = ?2 AND user = ?3 AND at = ?5 AND until = ?6";

int
store_word_told(
    struct store *st, const struct store_word *w, int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = word_stmt(st, told_sql, w, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 4, now);
	(void)sqlite3_bind_int64(stmt, 5, w->at);
	(void)sqlite3_bind_int64(stmt, 6, w->until);
	return db_run(st->db, stmt, "word", err);
}

static const char untell_sql[] = "UPDATE word SET told_at = 0";

int
store_word_untell(struct store *st, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, untell_sql, err);

	return stmt == NULL ? -1 : db_run(st->db, stmt, "words", err);
}

static const char word_prune_sql[] =
    "DELETE FROM word WHERE at < ?1 AND until < ?1";

int
store_word_prune(struct store *st, int64_t cutoff, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, word_prune_sql, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, cutoff);
	return db_run(st->db, stmt, "words", err);
}

static const char gather_sql[] =
    "INSERT OR IGNORE INTO word (kind, subject, user, at, until, note, "
    "told_at) "
    "SELECT 'deny-' || kind, subject, '', created_at, expires_at, "
    "substr(reason, 1, 200), 0 FROM deny UNION ALL "
    "SELECT 'delete', client, '', at, at, '', 0 FROM deleted UNION ALL "
    "SELECT 'add', client, user, last_at, expires_at, '', 0 FROM login "
    "WHERE server = '" STORE_ADMIN "' AND expires_at > unixepoch()";

int
store_word_gather(struct store *st, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, gather_sql, err);

	return stmt == NULL ? -1 : db_run(st->db, stmt, "words", err);
}

/* --- saying --- */

/* The newest time that this machine knows of what a word is about: of an entry
 * its row and its deletion, of a deletion the client's rows. */
static const char known_at_sql[] =
    "SELECT max("
    "coalesce((SELECT max(last_at) FROM login WHERE client = ?1 "
    "AND (?3 OR user = ?2)), 0), "
    "coalesce((SELECT at FROM deleted WHERE client = ?1), 0))";

static int64_t
known_at(struct store *st, const struct store_word *w, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, known_at_sql, err);

	if (w->kind != WORD_ADD && w->kind != WORD_DELETE)
		return 0;
	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, w->subject);
	store_bind_text(stmt, 2, w->user);
	(void)sqlite3_bind_int(stmt, 3, w->kind == WORD_DELETE);
	return db_step_number(st->db, stmt, "login table", err);
}

int
store_word_say(
    struct store *st, struct store_word *w, int64_t now, struct err *err)
{
	int64_t said_at, known = known_at(st, w, err);
	bool everybody = w->kind == WORD_DELETE && *w->subject == '\0';

	if (known == -1 || word_at(st, w, &said_at, err) == -1)
		return -1;
	if (everybody) /* dated in the past, as it was asked for */
		return word_keep(st, w, 0, err) == -1 ? -1 : 0;
	w->at = now;
	/* a deletion takes what has its own second; an entry must come later
	 * than its deletion */
	if (known >= w->at && known <= now + LOGIN_FUTURE_S)
		w->at = known + (w->kind == WORD_ADD);
	if (said_at >= w->at && said_at <= now + LOGIN_FUTURE_S)
		w->at = said_at + 1;
	if (w->kind == WORD_DELETE || w->until <= now)
		w->until = w->at;
	return word_keep(st, w, 0, err) == -1 ? -1 : 0;
}

int
store_word_pass(struct store *st, const struct store_word *w, struct err *err)
{
	return word_keep(st, w, 0, err) == -1 ? -1 : 0;
}

/* --- taking logins --- */

static const char take_login_sql[] =
    "INSERT INTO login (" STORE_COLUMNS ") "
    "SELECT ?1, ?2, ?3, ?4, ?5, ?5, ?5 + ?6, 1 "
    "WHERE NOT EXISTS (SELECT 1 FROM deleted WHERE client IN ('', ?1) "
    "AND at >= ?5) AND NOT EXISTS (SELECT 1 FROM word WHERE kind = 'add' "
    "AND subject = ?1 AND user = ?2 AND at > ?5) "
    "ON CONFLICT (client, user) DO UPDATE SET "
    "service = iif(excluded.expires_at >= expires_at, excluded.service, "
    "service), "
    "server = iif(excluded.expires_at >= expires_at, excluded.server, "
    "server), "
    "first_at = min(first_at, excluded.first_at), "
    "last_at = max(last_at, excluded.last_at), "
    "expires_at = max(expires_at, excluded.expires_at), count = count + ?7";

static const char knows_login_sql[] =
    "SELECT EXISTS (SELECT 1 FROM login_event WHERE client = ?1 AND "
    "user = ?2 AND at = ?3 AND position = ?4 AND "
    "substr(source, 1, 6) = 'share:')";

/* Has it been taken already? 1, 0, or -1 with err. */
static int
knows_login(
    struct store *st, const struct store_share_login *l, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, knows_login_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, l->client);
	store_bind_text(stmt, 2, l->user);
	(void)sqlite3_bind_int64(stmt, 3, l->at);
	(void)sqlite3_bind_int64(stmt, 4, l->number);
	return (int)db_step_number(st->db, stmt, "history", err);
}

int
store_share_take_login(struct store *st, const struct store_share_login *l,
    const char *peer, bool again, int64_t window_s, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, take_login_sql, err);
	char source[80], line[120];
	int known = peer == NULL;

	assert(window_s > 0);
	if (stmt == NULL ||
	    (!known && again && (known = knows_login(st, l, err)) == -1))
		return -1;
	store_bind_text(stmt, 1, l->client);
	store_bind_text(stmt, 2, l->user);
	store_bind_text(stmt, 3, l->service);
	store_bind_text(stmt, 4, l->server);
	(void)sqlite3_bind_int64(stmt, 5, l->at);
	(void)sqlite3_bind_int64(stmt, 6, window_s);
	(void)sqlite3_bind_int(stmt, 7, !known);
	if (db_run(st->db, stmt, "login", err) == -1 ||
	    (sqlite3_changes(st->db) > 0 &&
		store_sessions_window(
		    st, l->client, l->user, l->at + window_s, err) == -1))
		return -1;
	if (known)
		return 0;
	(void)snprintf(source, sizeof(source), "share:%.64s", peer);
	(void)snprintf(line, sizeof(line),
	    "shared by %.64s: its history has the line as number %lld", peer,
	    (long long)l->number);
	const struct store_event event = { .at = l->at,
		.client = l->client,
		.user = l->user,
		.service = l->service,
		.server = l->server,
		.source = source,
		.position = l->number,
		.line = line };

	return store_event_add(st, &event, err);
}

/* --- taking words --- */

/* The service and server of the newest login of a row of login. */
#define NEWEST_LOGIN(column)                                          \
	"(SELECT coalesce(max(e." column "), '') FROM login_event e " \
	"WHERE e.client = login.client AND e.user = login.user AND "  \
	"e.at = login.last_at AND e.source <> '" STORE_ADMIN "')"

/* A row that has logins dated as late or later keeps what these give: it ends
 * ?5 behind the newest. ?6: the word that it replaces is of the same second, so
 * last_at may be that word's. */
static const char take_add_sql[] =
    "INSERT INTO login (" STORE_COLUMNS ") "
    "SELECT ?1, ?2, 'manual', '" STORE_ADMIN "', ?3, ?3, ?4, 1 "
    "WHERE NOT EXISTS (SELECT 1 FROM deleted WHERE client = ?1 AND at >= ?3) "
    "ON CONFLICT (client, user) DO UPDATE SET "
    "expires_at = CASE WHEN last_at < ?3 THEN ?4 WHEN ?6 THEN "
    "max(?4, expires_at) ELSE max(?4, last_at + ?5) END, server = CASE WHEN last_at < ?3 OR ?4 > iif(?6, expires_at, last_at + ?5) THEN '" STORE_ADMIN
    "' WHEN ?6 OR server <> '" STORE_ADMIN "' THEN server ELSE " NEWEST_LOGIN(
	"server") " END, service = CASE WHEN last_at < ?3 OR ?4 > iif(?6, expires_at, last_at + ?5) THEN 'manual' WHEN ?6 OR server <> '" STORE_ADMIN
		  "' THEN service ELSE " NEWEST_LOGIN(
		      "service") " END, last_at = max(last_at, ?3)";

/* An entry made by hand holds, whether a session is open or not. */
static const char add_sessions_sql[] =
    "DELETE FROM session WHERE client = ?1 AND user = ?2";

static int
take_add(struct store *st, const struct store_word *w, bool same_second,
    int64_t window_s, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, take_add_sql, err);
	sqlite3_stmt *sessions = store_stmt(st, add_sessions_sql, err);

	if (stmt == NULL || sessions == NULL)
		return -1;
	store_bind_text(stmt, 1, w->subject);
	store_bind_text(stmt, 2, w->user);
	(void)sqlite3_bind_int64(stmt, 3, w->at);
	(void)sqlite3_bind_int64(stmt, 4, w->until);
	(void)sqlite3_bind_int64(stmt, 5, window_s);
	(void)sqlite3_bind_int(stmt, 6, same_second);
	if (db_run(st->db, stmt, "entry", err) == -1)
		return -1;
	if (sqlite3_changes(st->db) == 0)
		return 0;
	store_bind_text(sessions, 1, w->subject);
	store_bind_text(sessions, 2, w->user);
	return db_run(st->db, sessions, "sessions", err);
}

static const char delete_rows_sql[] =
    "DELETE FROM login WHERE client = ?1 AND last_at <= ?2";
/* Logins behind the deletion stay; the entry before it, of which the row may
 * have a later end, doesn't. */
static const char delete_entries_sql[] =
    "UPDATE login SET expires_at = last_at + ?3, "
    "service = " NEWEST_LOGIN("service") ", server = " NEWEST_LOGIN(
	"server") " WHERE client = ?1 AND server = '" STORE_ADMIN
		  "' AND NOT EXISTS "
		  "(SELECT 1 FROM word WHERE kind = 'add' AND subject = ?1 AND "
		  "word.user = login.user AND at > ?2)";

static int
delete_client(struct store *st, const struct store_word *w, int64_t window_s,
    struct err *err)
{
	sqlite3_stmt *rows = store_stmt(st, delete_rows_sql, err);
	sqlite3_stmt *entries = store_stmt(st, delete_entries_sql, err);

	if (rows == NULL || entries == NULL)
		return -1;
	store_bind_text(rows, 1, w->subject);
	(void)sqlite3_bind_int64(rows, 2, w->at);
	if (db_run(st->db, rows, "delete", err) == -1)
		return -1;
	store_bind_text(entries, 1, w->subject);
	(void)sqlite3_bind_int64(entries, 2, w->at);
	(void)sqlite3_bind_int64(entries, 3, window_s);
	return db_run(st->db, entries, "delete", err);
}

/* Logins of everybody go. Where one had taken the row of what an admin entered,
 * that comes back. An entry without a word isn't touched. */
static const char delete_old_sql[] =
    "DELETE FROM login WHERE last_at <= ?1 AND (server <> '" STORE_ADMIN
    "' OR EXISTS (SELECT 1 FROM word WHERE kind = 'add' AND "
    "subject = client AND word.user = login.user))";
static const char entries_back_sql[] =
    "INSERT OR IGNORE INTO login (" STORE_COLUMNS ") "
    "SELECT subject, user, 'manual', '" STORE_ADMIN "', at, at, until, 1 "
    "FROM word WHERE kind = 'add' AND until > ?1 AND NOT EXISTS "
    "(SELECT 1 FROM deleted WHERE client = subject AND deleted.at >= word.at)";

static int
delete_everybody(
    struct store *st, const struct store_word *w, int64_t now, struct err *err)
{
	sqlite3_stmt *rows = store_stmt(st, delete_old_sql, err);
	sqlite3_stmt *back = store_stmt(st, entries_back_sql, err);

	if (rows == NULL || back == NULL)
		return -1;
	(void)sqlite3_bind_int64(rows, 1, w->at);
	if (db_run(st->db, rows, "delete", err) == -1)
		return -1;
	(void)sqlite3_bind_int64(back, 1, now);
	return db_run(st->db, back, "entries", err);
}

static int
take_delete(struct store *st, const struct store_word *w, int64_t now,
    int64_t window_s, struct err *err)
{
	if (store_set_deleted(st, w->subject, w->at, err) == -1)
		return -1;
	return *w->subject == '\0' ? delete_everybody(st, w, now, err)
				   : delete_client(st, w, window_s, err);
}

static int
take_deny(struct store *st, const struct store_word *w, struct err *err)
{
	bool is_user = w->kind == WORD_DENY_USER;
	const struct store_deny deny = { .subject = w->subject,
		.is_user = is_user,
		.created_at = w->at,
		.expires_at = w->until,
		.reason = w->note };

	if (w->until > w->at)
		return store_deny_set(st, &deny, err);
	return store_deny_delete(st, w->subject, is_user, err) == -1 ? -1 : 0;
}

int
store_share_take_word(struct store *st, const struct store_word *w, int64_t now,
    int64_t window_s, struct err *err)
{
	int64_t said_at;

	if (word_at(st, w, &said_at, err) == -1)
		return -1;
	int kept = word_keep(st, w, now, err);

	if (kept == 0) /* the very same one, perhaps */
		return store_word_told(st, w, now, err);
	if (kept == -1)
		return -1;
	switch (w->kind) {
	case WORD_ADD:
		return take_add(st, w, said_at == w->at, window_s, err);
	case WORD_DELETE:
		return take_delete(st, w, now, window_s, err);
	case WORD_DENY_CLIENT:
	case WORD_DENY_USER:
		return take_deny(st, w, err);
	case WORD_BREACH_CLIENT:
	case WORD_BREACH_USER:
	case WORD_BREACH_LOGIN:
		return 0; /* the milter looks for them */
	case WORD_KINDS:
		break;
	}
	assert(false);
	return -1;
}
