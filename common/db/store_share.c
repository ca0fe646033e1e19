/* SPDX-License-Identifier: ISC */
/* The part of store_share.h about the stream: how far it is read and published,
 * and the other machines. */
#include "common/db/store_share.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/store_inside.h"

static const char share_find_sql[] =
    "SELECT origin, published, scanned, server, position, heard_at, skew_s, "
    "trouble, entry, relayed, outbox FROM share WHERE id = 1";

int
store_share_find(struct store *st, struct store_share *s, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, share_find_sql, err);

	*s = (struct store_share){ .position = "0-0" };
	if (stmt == NULL)
		return -1;
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW) {
		(void)snprintf(
		    s->origin, sizeof(s->origin), "%s", db_text(stmt, 0));
		s->published = sqlite3_column_int64(stmt, 1);
		s->scanned = sqlite3_column_int64(stmt, 2);
		(void)snprintf(
		    s->server, sizeof(s->server), "%s", db_text(stmt, 3));
		(void)snprintf(
		    s->position, sizeof(s->position), "%s", db_text(stmt, 4));
		s->heard_at = sqlite3_column_int64(stmt, 5);
		s->skew_s = sqlite3_column_int64(stmt, 6);
		(void)snprintf(
		    s->trouble, sizeof(s->trouble), "%s", db_text(stmt, 7));
		(void)snprintf(
		    s->entry, sizeof(s->entry), "%s", db_text(stmt, 8));
		s->relayed = sqlite3_column_int64(stmt, 9);
		(void)snprintf(
		    s->outbox, sizeof(s->outbox), "%s", db_text(stmt, 10));
	}
	if (db_walked(st->db, stmt, rc, "share", err) == -1)
		return -1;
	return rc == SQLITE_ROW;
}

static const char share_save_sql[] =
    "INSERT OR REPLACE INTO share (id, origin, published, scanned, server, "
    "position, heard_at, skew_s, trouble, entry, relayed, "
    "outbox) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

int
store_share_save(struct store *st, const struct store_share *s, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, share_save_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, s->origin);
	(void)sqlite3_bind_int64(stmt, 2, s->published);
	(void)sqlite3_bind_int64(stmt, 3, s->scanned);
	store_bind_text(stmt, 4, s->server);
	store_bind_text(stmt, 5, s->position);
	(void)sqlite3_bind_int64(stmt, 6, s->heard_at);
	(void)sqlite3_bind_int64(stmt, 7, s->skew_s);
	store_bind_text(stmt, 8, s->trouble);
	store_bind_text(stmt, 9, s->entry);
	(void)sqlite3_bind_int64(stmt, 10, s->relayed);
	store_bind_text(stmt, 11, s->outbox);
	return db_run(st->db, stmt, "share", err);
}

/* --- this machine's logins --- */

/* A login that a deletion took back has no row that is as new. Rows of other
 * machines have the source share:NAME. */
static const char own_logins_sql[] =
    "SELECT id, at, client, user, service, server, at > ?2 AND "
    "source <> '" STORE_ADMIN "' AND substr(source, 1, 6) <> 'share:' AND "
    "EXISTS (SELECT 1 FROM login WHERE login.client = login_event.client AND "
    "login.user = login_event.user AND last_at >= login_event.at) "
    "FROM login_event WHERE id > ?1 ORDER BY id LIMIT ?3";

int
store_share_each_login(struct store *st, int64_t after, int64_t since,
    int limit, int64_t *last_r,
    void (*fn)(void *arg, const struct store_share_login *login), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, own_logins_sql, err);
	int rc = SQLITE_DONE, n = 0;

	*last_r = after;
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, after);
	(void)sqlite3_bind_int64(stmt, 2, since);
	(void)sqlite3_bind_int(stmt, 3, limit);
	for (; (rc = sqlite3_step(stmt)) == SQLITE_ROW; n++) {
		const struct store_share_login login = {
			.number = sqlite3_column_int64(stmt, 0),
			.at = sqlite3_column_int64(stmt, 1),
			.client = db_text(stmt, 2),
			.user = db_text(stmt, 3),
			.service = db_text(stmt, 4),
			.server = db_text(stmt, 5),
		};

		*last_r = login.number;
		if (sqlite3_column_int(stmt, 6) != 0)
			fn(arg, &login);
	}
	return db_walked(st->db, stmt, rc, "history", err) == -1 ? -1 : n;
}

static const char login_at_sql[] =
    "SELECT coalesce((SELECT at FROM login_event WHERE id = ?1), 0)";

int64_t
store_share_login_at(struct store *st, int64_t number, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, login_at_sql, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, number);
	return db_step_number(st->db, stmt, "history", err);
}

/* --- the other machines --- */

static const char peer_advance_sql[] =
    "INSERT INTO share_peer (origin, name, number, heard_at, read_at) "
    "VALUES (?1, '', ?2, 0, 0) ON CONFLICT (origin) DO UPDATE SET "
    "number = max(number, excluded.number)";

int
store_peer_advance(
    struct store *st, const char *origin, int64_t number, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, peer_advance_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, origin);
	(void)sqlite3_bind_int64(stmt, 2, number);
	return db_run(st->db, stmt, "peer", err);
}

static const char peer_hello_sql[] =
    "INSERT INTO share_peer (origin, name, number, heard_at, read_at) "
    "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (origin) DO UPDATE SET "
    "name = excluded.name, number = max(number, excluded.number), "
    "heard_at = excluded.heard_at, read_at = excluded.read_at "
    "WHERE excluded.heard_at >= heard_at";

int
store_peer_hello(struct store *st, const struct store_peer *p, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, peer_hello_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, p->origin);
	store_bind_text(stmt, 2, p->name);
	(void)sqlite3_bind_int64(stmt, 3, p->number);
	(void)sqlite3_bind_int64(stmt, 4, p->heard_at);
	(void)sqlite3_bind_int64(stmt, 5, p->read_at);
	return db_run(st->db, stmt, "peer", err);
}

static const char peer_prune_sql[] =
    "DELETE FROM share_peer WHERE max(heard_at, read_at) < ?1 AND name <> ''";

int
store_peer_prune(struct store *st, int64_t cutoff, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, peer_prune_sql, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, cutoff);
	return db_run(st->db, stmt, "peers", err);
}

static const char peer_rewind_sql[] = "UPDATE share_peer SET number = 0";

int
store_peer_rewind(struct store *st, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, peer_rewind_sql, err);

	return stmt == NULL ? -1 : db_run(st->db, stmt, "peers", err);
}

static const char peers_sql[] =
    "SELECT origin, name, number, heard_at, read_at FROM share_peer "
    "ORDER BY name, origin";

int
store_each_peer(struct store *st,
    bool (*fn)(void *arg, const struct store_peer *peer), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, peers_sql, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct store_peer peer = { .origin = db_text(stmt, 0),
			.name = db_text(stmt, 1),
			.number = sqlite3_column_int64(stmt, 2),
			.heard_at = sqlite3_column_int64(stmt, 3),
			.read_at = sqlite3_column_int64(stmt, 4) };

		more = fn(arg, &peer);
	}
	return db_walked(st->db, stmt, rc, "peers", err);
}

static const char refuse_sql[] =
    "INSERT INTO share_refused (reason, count, last_at) VALUES (?1, ?2, ?3) "
    "ON CONFLICT (reason) DO UPDATE SET count = count + excluded.count, "
    "last_at = max(last_at, excluded.last_at)";

int
store_share_refuse(struct store *st, const char *reason, int64_t n, int64_t now,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, refuse_sql, err);

	assert(n > 0);
	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, reason);
	(void)sqlite3_bind_int64(stmt, 2, n);
	(void)sqlite3_bind_int64(stmt, 3, now);
	return db_run(st->db, stmt, "refused", err);
}

static const char refused_sql[] =
    "SELECT reason, count, last_at FROM share_refused ORDER BY reason";

int
store_each_refused(struct store *st,
    bool (*fn)(void *arg, const char *reason, int64_t n, int64_t last_at),
    void *arg, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, refused_sql, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		more = fn(arg, db_text(stmt, 0), sqlite3_column_int64(stmt, 1),
		    sqlite3_column_int64(stmt, 2));
	return db_walked(st->db, stmt, rc, "refused", err);
}
