/* SPDX-License-Identifier: ISC */
/* The part of store_share.h about what other machines relayed. */
#include "common/base/err.h"
#include "common/db/store_inside.h"
#include "common/db/store_share.h"

static const char take_sql[] =
    "INSERT OR IGNORE INTO relayed (origin, number, at, client, user, how, "
    "sender, recipients, messages) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

int
store_relayed_take(struct store *st, const struct relayed *r, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, take_sql, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, r->origin);
	(void)sqlite3_bind_int64(stmt, 2, r->number);
	(void)sqlite3_bind_int64(stmt, 3, r->at);
	store_bind_text(stmt, 4, r->client);
	store_bind_text(stmt, 5, r->user);
	store_bind_text(stmt, 6, r->how);
	store_bind_text(stmt, 7, r->sender);
	(void)sqlite3_bind_int64(stmt, 8, r->recipients);
	(void)sqlite3_bind_int64(stmt, 9, r->messages);
	return db_run(st->db, stmt, "relayed", err);
}

static const char prune_sql[] = "DELETE FROM relayed WHERE at < ?1";

int
store_relayed_prune(struct store *st, int64_t cutoff, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, prune_sql, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, cutoff);
	return db_run(st->db, stmt, "relayed", err);
}

static const char each_sql[] =
    "SELECT id, origin, number, at, client, user, how, sender, recipients, "
    "messages FROM relayed WHERE id > ?1 AND at > ?2 ORDER BY id";

int
store_each_relayed(struct store *st, int64_t after, int64_t since,
    bool (*fn)(void *arg, const struct relayed *relayed), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, each_sql, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, after);
	(void)sqlite3_bind_int64(stmt, 2, since);
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct relayed r = { .id = sqlite3_column_int64(stmt, 0),
			.origin = db_text(stmt, 1),
			.number = sqlite3_column_int64(stmt, 2),
			.at = sqlite3_column_int64(stmt, 3),
			.client = db_text(stmt, 4),
			.user = db_text(stmt, 5),
			.how = db_text(stmt, 6),
			.sender = db_text(stmt, 7),
			.recipients = sqlite3_column_int64(stmt, 8),
			.messages = sqlite3_column_int64(stmt, 9) };

		more = fn(arg, &r);
	}
	return db_walked(st->db, stmt, rc, "relayed", err);
}
