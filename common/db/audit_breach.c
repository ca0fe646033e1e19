/* SPDX-License-Identifier: ISC */
/* audit_breach - what was relayed before a limit was reached, who is denied for
 * it, and the lift of a denial: audit.db by breaches. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/db/audit.h"
#include "common/db/audit_reader.h"
#include "common/db/sql.h"
#include "common/records/userlist.h"

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
	*first_r = audit_id_since(r, since_ms, err);
	if (*first_r == -1 ||
	    db_prepare(r->db,
		"SELECT coalesce(max(id), 0) "
		"FROM channel_decision",
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

/* The rows that count against a limit, and those of them that
 * decision_of_odd_users holds: a query uses that index when it has these very
 * terms. */
#define RELAYED "verdict = 'accept' AND class = 'relay'"
#define ODD_USERS                                            \
	"(coalesce(auth_user, login_user) GLOB '*[A-Z,;]*' " \
	"OR auth_user IS NOT NULL AND reason = 'recent-login')"

#define RELAYED_ROWS                                          \
	"SELECT id, at, client, sender, reason, auth_user, "  \
	"login_user, session, queue_id, channel, recipient, " \
	"coalesce(reply, '') = 'aborted', count, took "       \
	"FROM channel_decision WHERE "

/* ?3 and ?4: the client, or what the texts of its network lie between; ?5 to
 * ?13: the users; ?14: the first of the client's own. +: by the index of odd
 * users, not by the id. */
#define ROWS_OF_SOME(client)                                                 \
	RELAYED_ROWS                                                         \
	"id IN (SELECT id FROM channel_decision WHERE " client               \
	" AND id >= ?14 "                                                    \
	"UNION SELECT id FROM channel_decision "                             \
	"WHERE coalesce(auth_user, login_user) "                             \
	"IN (?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) AND id >= ?1 "          \
	"UNION SELECT +id FROM channel_decision WHERE at >= ?2 AND " RELAYED \
	" AND " ODD_USERS " AND ?5 IS NOT NULL) "                            \
	"AND (id >= ?14 OR (" client ") IS NOT TRUE) "                       \
	"AND at >= ?2 AND " RELAYED " ORDER BY id"

enum { FIRST_USER = 5, LAST_USER = FIRST_USER + USERLIST_USERS, OWN_FIRST };

static const char rows_behind[] =
    RELAYED_ROWS "id > ?1 AND id <= ?2 AND " RELAYED " ORDER BY id";
static const char rows_of_all[] =
    RELAYED_ROWS "id >= ?1 AND at >= ?2 AND " RELAYED " ORDER BY id";
static const char rows_of_address[] = ROWS_OF_SOME("client = ?3");
static const char rows_of_network[] =
    ROWS_OF_SOME("client >= ?3 AND client < ?4");

/* The beginning that the texts of all addresses of an IPv6 network share: its
 * leading groups, as far as none is zero. The text of a zero group depends on
 * the groups after it (RFC 5952 section 4.2), so it ends what is in common. */
static void
common_text(const struct network *net, char text[ADDR_TEXT_MAX])
{
	const uint8_t *b = net->base.bytes;
	char *p = text;

	*p = '\0';
	for (int i = 0; (i + 2) * 8 <= net->bits; i += 2) {
		unsigned group = (unsigned)b[i] << 8 | b[i + 1];

		if (group == 0)
			return;
		p += snprintf(p, 6, i < 14 ? "%x:" : "%x", group);
	}
}

static void
bind_client(sqlite3_stmt *stmt, const struct network *client)
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX + 1];

	assert(client->bits <= addr_bits(&client->base));
	if (client->bits == addr_bits(&client->base))
		(void)addr_format(&client->base, from);
	else
		common_text(client, from);
	/* no character of an address is behind '~' */
	(void)snprintf(to, sizeof(to), "%s~", from);
	(void)sqlite3_bind_text(stmt, 3, from, -1, SQLITE_TRANSIENT);
	(void)sqlite3_bind_text(stmt, 4, to, -1, SQLITE_TRANSIENT);
}

/* In lower case: rows in another spelling are odd ones. */
static void
bind_user(sqlite3_stmt *stmt, int i, const char *user)
{
	char *lower = sqlite3_mprintf("%s", user);

	for (char *p = lower; p != NULL && *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + ('a' - 'A'));
	(void)sqlite3_bind_text(stmt, i, lower, -1, sqlite3_free);
}

/* The text as a whole, which may be one name by SMTP AUTH, and each name of
 * it. */
static void
bind_users(sqlite3_stmt *stmt, const char *users)
{
	char name[LOGIN_USER_MAX];
	int i = FIRST_USER;

	assert(users != NULL);
	bind_user(stmt, i++, users);
	while (i <= LAST_USER && (users = userlist_next(users, name)) != NULL)
		bind_user(stmt, i++, name);
}

static sqlite3_stmt *
prepare_relayed(
    struct audit_reader *r, const struct audit_relayed *which, struct err *err)
{
	const struct network *client = which->client;
	const char *sql = rows_of_all;
	sqlite3_stmt *stmt = NULL;

	if (client != NULL && client->bits < addr_bits(&client->base))
		sql = rows_of_network;
	else if (client != NULL || which->users != NULL)
		sql = rows_of_address;
	if (db_prepare(r->db, sql, &stmt, err) == -1)
		return NULL;
	(void)sqlite3_bind_int64(stmt, 2, which->since_ms);
	if (client != NULL)
		bind_client(stmt, client);
	if (which->users != NULL)
		bind_users(stmt, which->users);
	return stmt;
}

/* Walk RELAYED_ROWS to the end of the statement. */
static int
each_row(struct audit_reader *r, sqlite3_stmt *stmt,
    bool (*fn)(void *arg, const struct audit_record *record), void *arg,
    struct err *err)
{
	bool more = true;
	int rc = SQLITE_DONE;

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
			.aborted = sqlite3_column_int(stmt, 11) != 0,
			.count = sqlite3_column_int64(stmt, 12),
			.took = sqlite3_column_int(stmt, 13) != 0 };

		more = fn(arg, &rec);
	}
	return end(r->db, stmt, rc, "decisions", err);
}

int
audit_each_relayed(struct audit_reader *r, const struct audit_relayed *which,
    bool *cut_r, bool (*fn)(void *arg, const struct audit_record *record),
    void *arg, struct err *err)
{
	bool cut;
	int64_t first, own = 0;

	assert(which->rows_max > 0);
	assert(which->own_since_ms == 0 ||
	    (which->client != NULL &&
		which->client->bits == addr_bits(&which->client->base)));
	if (first_id(r, which->since_ms, which->rows_max, &first, &cut, err) ==
	    -1)
		return -1;
	if (which->own_since_ms > 0 &&
	    (own = audit_id_since(r, which->own_since_ms, err)) == -1)
		return -1;
	if (cut_r != NULL)
		*cut_r = cut;
	sqlite3_stmt *stmt = prepare_relayed(r, which, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, first);
	(void)sqlite3_bind_int64(stmt, OWN_FIRST, own > first ? own : first);
	return each_row(r, stmt, fn, arg, err);
}

int
audit_sent_since(struct audit_reader *r, const struct addr *client,
    const char *users, int64_t sent_ms, int64_t whole_ms, struct err *err)
{
	int64_t sent = audit_id_since(r, sent_ms, err);
	int64_t whole = audit_id_since(r, whole_ms, err);
	char text_of[ADDR_TEXT_MAX];
	sqlite3_stmt *stmt = NULL;

	if (sent == -1 || whole == -1 ||
	    db_prepare(r->db,
		"SELECT 1 FROM channel_decision "
		"WHERE client = ?1 AND id >= ?2 AND at >= ?3 AND " RELAYED
		" AND channel = 'milter' AND coalesce(reply, '') <> 'aborted' "
		"AND reason = 'recent-login' "
		"AND login_user = ?4 "
		"AND NOT EXISTS (SELECT 1 FROM channel_decision "
		"WHERE client = ?1 AND id >= ?5 AND reply = 'aborted') "
		"LIMIT 1",
		&stmt, err) == -1)
		return -1;
	bind(stmt, 1, addr_format(client, text_of));
	(void)sqlite3_bind_int64(stmt, 2, sent);
	(void)sqlite3_bind_int64(stmt, 3, sent_ms);
	bind(stmt, 4, users);
	(void)sqlite3_bind_int64(stmt, 5, whole);
	int rc = sqlite3_step(stmt);
	bool found = rc == SQLITE_ROW;

	return end(r->db, stmt, rc, "decisions", err) == -1 ? -1 : found;
}

int64_t
audit_newest(struct audit_reader *r, struct err *err)
{
	return db_number(
	    r->db, "SELECT coalesce(max(id), 0) FROM channel_decision", err);
}

int
audit_each_relayed_behind(struct audit_reader *r, int64_t after, int64_t last,
    bool (*fn)(void *arg, const struct audit_record *record), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = NULL;

	if (db_prepare(r->db, rows_behind, &stmt, err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, after);
	(void)sqlite3_bind_int64(stmt, 2, last);
	return each_row(r, stmt, fn, arg, err);
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

int64_t
audit_denials_version(struct audit_reader *r, struct err *err)
{
	return db_number(r->db,
	    "SELECT coalesce((SELECT max(id) FROM breach), 0) + "
	    "coalesce((SELECT max(id) FROM lift), 0)",
	    err);
}

/* A lift is dated a second later than it was: so it is later than all breaches
 * before it, of its own second, too. */
static const char denial_states[] =
    "SELECT kind, lower(subject), at / 1000 AS since, denied_until AS until, "
    "setting || ' ' || allowed FROM breach "
    "WHERE at >= ?1 AND denied_until IS NOT NULL "
    "UNION ALL SELECT kind, lower(subject), at / 1000 + 1, at / 1000 + 1, '' "
    "FROM lift WHERE at >= ?1 ORDER BY since, until";

int
audit_each_denial_state(struct audit_reader *r, int64_t since_ms,
    bool (*fn)(void *arg, const struct audit_denial *denial), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	bool more = true;
	int rc = SQLITE_DONE;

	if (db_prepare(r->db, denial_states, &stmt, err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, since_ms);
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct audit_denial d = { .is_user =
						    !is(stmt, 0, "client"),
			.by_login = is(stmt, 0, "login"),
			.subject = text(stmt, 1),
			.at = sqlite3_column_int64(stmt, 2),
			.until = sqlite3_column_int64(stmt, 3),
			.note = text(stmt, 4) };

		more = fn(arg, &d);
	}
	return end(r->db, stmt, rc, "breaches", err);
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

	assert(lift->subject != NULL && lift->who != NULL);
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
