/* SPDX-License-Identifier: ISC */
/* store_denies - the clients and users that an admin denied. */
#include "common/db/store.h"

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/store_inside.h"

static const char deny_set_sql[] =
    "INSERT OR REPLACE INTO deny (subject, kind, created_at, "
    "expires_at, reason) VALUES (CASE ?2 WHEN 'user' THEN lower(?1) "
    "ELSE ?1 END, ?2, ?3, ?4, ?5)";

int
store_deny_set(struct store *st, const struct store_deny *deny, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, deny_set_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, deny->subject);
	store_bind_text(stmt, 2, deny->is_user ? "user" : "client");
	(void)sqlite3_bind_int64(stmt, 3, deny->created_at);
	(void)sqlite3_bind_int64(stmt, 4, deny->expires_at);
	store_bind_text(stmt, 5, deny->reason);
	return db_run(st->db, stmt, "deny", err);
}

static const char deny_delete_sql[] =
    "DELETE FROM deny WHERE subject IN (?1, lower(?1)) AND kind = ?2";

int
store_deny_delete(
    struct store *st, const char *subject, bool is_user, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, deny_delete_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, subject);
	store_bind_text(stmt, 2, is_user ? "user" : "client");
	if (db_run(st->db, stmt, "undeny", err) == -1)
		return -1;
	return sqlite3_changes(st->db);
}

static const char denies_sql[] =
    "SELECT subject, kind, created_at, expires_at, reason FROM deny "
    "WHERE expires_at > ?1 ORDER BY kind, subject";
static const char denies_of_sql[] =
    "SELECT subject, kind, created_at, expires_at, reason FROM deny "
    "WHERE expires_at > ?1 AND (kind = 'client' AND (subject = ?2 OR "
    "instr(subject, '/') > 0) OR kind = 'user' "
    "AND subject IN (?3, lower(?3)))";

int
store_each_deny(struct store *st, const struct addr *client, const char *user,
    int64_t now, bool (*fn)(void *arg, const struct store_deny *deny),
    void *arg, struct err *err)
{
	bool all = client == NULL && user == NULL, more = true;
	sqlite3_stmt *stmt =
	    store_stmt(st, all ? denies_sql : denies_of_sql, err);
	char own[ADDR_TEXT_MAX] = "";
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, now);
	if (!all) {
		store_bind_text(
		    stmt, 2, client == NULL ? "" : addr_format(client, own));
		store_bind_text(stmt, 3, user == NULL ? "" : user);
	}
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_deny deny = { .subject = db_text(stmt, 0),
			.is_user = strcmp(db_text(stmt, 1), "user") == 0,
			.created_at = sqlite3_column_int64(stmt, 2),
			.expires_at = sqlite3_column_int64(stmt, 3),
			.reason = db_text(stmt, 4) };
		struct network net;

		if (!all && !deny.is_user && strcmp(deny.subject, own) != 0 &&
		    (client == NULL || !network_parse(deny.subject, &net) ||
			!network_contains(&net, client)))
			continue;
		if (!all && deny.is_user && user == NULL)
			continue;
		more = fn(arg, &deny);
	}
	return db_walked(st->db, stmt, rc, "denies", err);
}
