/* SPDX-License-Identifier: ISC */
/* store_history - the log lines that logins rest on. */
#include "common/db/store.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/db/store_inside.h"

char *
store_escape_line(const char *line, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	char *out = malloc(len * 4 + 1), *p = out;

	assert(line != NULL || len == 0);
	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c >= 0x20 && c < 0x7f) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '\\';
		*p++ = 'x';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	*p = '\0';
	return out;
}

static bool
is_printable(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)(line[i] - 0x20) >= 0x7f - 0x20)
			return false;
	return true;
}

int
store_bind_evidence(sqlite3_stmt *stmt, int i, const struct store_entry *e,
    char **escaped_r, struct err *err)
{
	*escaped_r = NULL;
	if (is_printable(e->line, e->line_len)) {
		(void)sqlite3_bind_text(
		    stmt, i, e->line, (int)e->line_len, SQLITE_STATIC);
		return 0;
	}
	*escaped_r = store_escape_line(e->line, e->line_len);
	if (*escaped_r == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	store_bind_text(stmt, i, *escaped_r);
	return 0;
}

static const char event_sql[] =
    "INSERT INTO login_event (at, client, user, service, server, "
    "source, position, line) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/* The statement for one line of the history, all but the line bound. NULL with
 * err. */
static sqlite3_stmt *
event_stmt(struct store *st, const struct store_event *event, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, event_sql, err);

	if (stmt == NULL)
		return NULL;
	(void)sqlite3_bind_int64(stmt, 1, event->at);
	store_bind_text(stmt, 2, event->client);
	store_bind_text(stmt, 3, event->user);
	store_bind_text(stmt, 4, event->service);
	store_bind_text(stmt, 5, event->server);
	store_bind_text(stmt, 6, event->source);
	(void)sqlite3_bind_int64(stmt, 7, event->position);
	return stmt;
}

int
store_record_evidence(
    struct store *st, const struct store_entry *e, struct err *err)
{
	const struct store_event event = {
		.at = e->at,
		.client = e->client,
		.user = e->user,
		.service = e->service,
		.server = e->server,
		.source = e->source,
		.position = e->position,
	};
	sqlite3_stmt *stmt = event_stmt(st, &event, err);
	char *escaped = NULL;

	if (stmt == NULL ||
	    store_bind_evidence(stmt, 8, e, &escaped, err) == -1)
		return -1;
	int ret = db_run(st->db, stmt, "login event", err);

	free(escaped);
	return ret;
}

int
store_event_add(
    struct store *st, const struct store_event *event, struct err *err)
{
	sqlite3_stmt *stmt = event_stmt(st, event, err);

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 8, event->line);
	return db_run(st->db, stmt, "history", err);
}

/* Ids grow with time, so the oldest rows have the smallest. */
static const char prune_sql[] =
    "DELETE FROM login_event WHERE id IN "
    "(SELECT id FROM login_event ORDER BY id LIMIT ?2) AND at < ?1";
static const char deleted_prune_sql[] = "DELETE FROM deleted WHERE at < ?1";

int
store_prune_events(struct store *st, int64_t cutoff, int limit, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, prune_sql, err);
	sqlite3_stmt *deleted = store_stmt(st, deleted_prune_sql, err);

	assert(limit > 0);
	if (stmt == NULL || deleted == NULL)
		return -1;
	(void)sqlite3_bind_int64(deleted, 1, cutoff);
	if (db_run(st->db, deleted, "deletions", err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, cutoff);
	(void)sqlite3_bind_int(stmt, 2, limit);
	if (db_run(st->db, stmt, "prune", err) == -1)
		return -1;
	return sqlite3_changes(st->db);
}

static const char events_sql[] =
    "SELECT id, at, client, user, service, server, source, position, "
    "line FROM login_event WHERE client = ?1 ORDER BY id DESC LIMIT ?2";

int
store_each_event(struct store *st, const char *client, int limit,
    bool (*fn)(void *arg, const struct store_event *event), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, events_sql, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, client);
	(void)sqlite3_bind_int(stmt, 2, limit);
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_event event = { .id =
						 sqlite3_column_int64(stmt, 0),
			.at = sqlite3_column_int64(stmt, 1),
			.client = db_text(stmt, 2),
			.user = db_text(stmt, 3),
			.service = db_text(stmt, 4),
			.server = db_text(stmt, 5),
			.source = db_text(stmt, 6),
			.position = sqlite3_column_int64(stmt, 7),
			.line = db_text(stmt, 8) };

		more = fn(arg, &event);
	}
	return db_walked(st->db, stmt, rc, "history", err);
}
