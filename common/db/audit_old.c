/* SPDX-License-Identifier: ISC */
/* Rows that versions before 6 wrote: of a recipient that both channels saw, the
 * permit channel's row gets count 0, as new rows do at once. Done in small
 * steps by the writer, from the oldest on: the start doesn't wait for it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/audit_table.h"

enum {
	STEP_ROWS = 5000,
	/* Rows that may lie between the two of a recipient: all that was
	 * decided from its RCPT to its DATA. */
	BETWEEN_ROWS = 65536
};

int
audit_table_old_open(struct audit_table *t, struct err *err)
{
	t->old.up_to = db_number(
	    t->db, "SELECT coalesce(max(last), 0) FROM unpaired", err);
	t->old.from = db_number(
	    t->db, "SELECT coalesce(max(first), 0) FROM unpaired", err);
	t->old.found = 0;
	return t->old.up_to == -1 || t->old.from == -1 ? -1 : 0;
}

void
audit_table_old_close(struct audit_table *t)
{
	audit_pairs_free(t->old.pairs);
	t->old.pairs = NULL;
	t->old.up_to = 0;
}

/* One of a pair, or of none. */
static int
look_at(struct audit_table *t, sqlite3_stmt *row, bool take, struct err *err)
{
	int64_t id = sqlite3_column_int64(row, 0);
	int64_t at_ms = sqlite3_column_int64(row, 1);
	const struct audit_pair_key key = { .client = db_text(row, 2),
		.recipient = db_text(row, 3) };
	struct audit_pair pair = { .number = (uint64_t)id };
	enum audit_channel channel = CHANNEL_MILTER;

	if (strcmp(db_text(row, 4), audit_channel_name(channel)) != 0) {
		audit_pairs_give(t->old.pairs, &key, at_ms, &pair);
		return 0;
	}
	if (!take || !audit_pairs_take(t->old.pairs, &key, at_ms, &pair))
		return 0;
	t->old.found++;
	(void)sqlite3_bind_int64(t->take, 1, (int64_t)pair.number);
	return db_run(t->db, t->take, "decision", err);
}

/* Look at rows from one id to another, and not more than some. *next_r: the id
 * behind them. */
static int
walk(struct audit_table *t, int64_t from, int64_t to, bool take,
    int64_t *next_r, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = SQLITE_DONE, ret = 0;

	if (db_prepare(t->db,
		"SELECT id, at, client, recipient, channel "
		"FROM channel_decision WHERE id >= ?1 AND id <= ?2 "
		"AND count > 0 AND (channel = 'milter' "
		"OR verdict NOT IN ('reject', 'tempfail')) "
		"ORDER BY id LIMIT ?3",
		&stmt, err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, from);
	(void)sqlite3_bind_int64(stmt, 2, to);
	(void)sqlite3_bind_int(stmt, 3, take ? STEP_ROWS : BETWEEN_ROWS);
	*next_r = to + 1;
	for (int n = 1; ret == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW;
	     n++) {
		ret = look_at(t, stmt, take, err);
		if (take && n == STEP_ROWS)
			*next_r = sqlite3_column_int64(stmt, 0) + 1;
	}
	if (ret == 0)
		ret = db_walked(t->db, stmt, rc, "decisions", err);
	(void)sqlite3_finalize(stmt);
	return ret;
}

/* The permit channel's rows that were looked at before the last end. */
static int
remember(struct audit_table *t, struct err *err)
{
	int64_t next;

	t->old.pairs = audit_pairs_new(BETWEEN_ROWS);
	if (t->old.pairs == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	return walk(
	    t, t->old.from - BETWEEN_ROWS, t->old.from - 1, false, &next, err);
}

static void
say_done(const struct audit_table *t)
{
	char text[200];

	(void)snprintf(text, sizeof(text),
	    "audit: the rows of earlier versions are paired: %" PRId64
	    " recipients since the start that two channels had recorded are counted once",
	    t->old.found);
	t->opt->log_state(true, text);
}

int
audit_table_pair_old(struct audit_table *t, struct err *err)
{
	int64_t next, up_to = t->old.up_to;
	char sql[100];

	if (up_to == 0)
		return 0;
	if ((t->old.pairs == NULL && remember(t, err) == -1) ||
	    walk(t, t->old.from, up_to, true, &next, err) == -1)
		return -1;
	if (next > up_to) {
		if (db_exec(t->db, "DELETE FROM unpaired", err) == -1)
			return -1;
		say_done(t);
		audit_table_old_close(t);
		return 0;
	}
	t->old.from = next;
	(void)snprintf(
	    sql, sizeof(sql), "UPDATE unpaired SET first = %" PRId64, next);
	return db_exec(t->db, sql, err);
}
