/* SPDX-License-Identifier: ISC */
/* Deletes rows of the audit that are older than audit.keep, and those for which
 * audit.max_size has no room. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/audit_table.h"

enum {
	PRUNE_EVERY_S = 60,
	PRUNE_ROWS = 10000,
	/* of audit.max_size, in percent */
	SIZE_ALARM = 80,
	SIZE_PRUNE = 90,
	SAY_SIZE_S = 3600,
	NEXT_ROUND_S = 600
};

/* Prune a lift only after the breach it cancels, or the breach would apply
 * again. */
static int
prune_breaches(struct audit_table *t, int64_t now, struct err *err)
{
	char sql[400];

	(void)snprintf(sql, sizeof(sql),
	    "DELETE FROM breach WHERE at < "
	    "%" PRId64 " AND coalesce(denied_until, 0) <= %" PRId64 "; "
	    "DELETE FROM lift WHERE at < %" PRId64 " AND NOT EXISTS (SELECT 1 "
	    "FROM breach AS b WHERE b.subject = lift.subject "
	    "AND b.kind = lift.kind)",
	    (now - t->opt->keep_s) * 1000, now, (now - t->opt->keep_s) * 1000);
	return db_exec(t->db, sql, err);
}

/* How many bytes of the file are in use, or -1. */
static int64_t
size_of(struct audit_table *t, struct err *err)
{
	return db_step_number(t->db, t->pages, "size", err);
}

/* Delete from the next rows behind t->shrunk_to those that anybody can make us
 * write: refused recipients and our own.
 *   all    delete any row instead, from the oldest on
 *   rows   so many were inserted since the last call
 *   end_r  there were no more rows to look at */
static int
shrink(
    struct audit_table *t, bool all, int64_t rows, bool *end_r, struct err *err)
{
	int64_t from = all ? 0 : t->shrunk_to, to = 0, found = 0;

	assert(rows >= 0);
	/* Rows go faster than they come. With all the newer half stays: a
	 * message may wait for its rows to be on disk. */
	rows += all ? PRUNE_ROWS / 10 : PRUNE_ROWS;
	(void)sqlite3_bind_int64(t->shrink_to, 1, from);
	(void)sqlite3_bind_int64(t->shrink_to, 2, rows);
	int rc = sqlite3_step(t->shrink_to);

	if (rc == SQLITE_ROW) {
		to = sqlite3_column_int64(t->shrink_to, 0);
		found = sqlite3_column_int64(t->shrink_to, 1);
	} else {
		db_err(t->db, "prune", err);
	}
	(void)sqlite3_reset(t->shrink_to);
	/* SQLite may have rolled back: no statement may follow as if not */
	if (rc != SQLITE_ROW)
		return -1;
	*end_r = found < rows;
	if (all) {
		int64_t oldest = db_number(t->db,
		    "SELECT coalesce(min(id), 0) FROM channel_decision", err);
		int64_t middle = oldest + (t->last_id - oldest) / 2;

		if (oldest == -1)
			return -1;
		to = to < middle ? to : middle;
	}
	if (found == 0)
		return 0;
	(void)sqlite3_bind_int64(t->shrink, 1, from);
	(void)sqlite3_bind_int64(t->shrink, 2, to);
	(void)sqlite3_bind_int(t->shrink, 3, all);
	if (db_run(t->db, t->shrink, "prune", err) == -1)
		return -1;
	t->shrunk += sqlite3_changes(t->db);
	t->shrunk_relays += all ? sqlite3_changes(t->db) : 0;
	t->shrunk_to = all ? t->shrunk_to : to;
	return 0;
}

/* Warn of the size, and say what was deleted for it: once an hour. */
static void
say_size(struct audit_table *t, int64_t bytes, int64_t now)
{
	char text[400];

	assert(t->opt->max_size > 0);
	if (bytes * 100 < t->opt->max_size * SIZE_ALARM ||
	    (now - t->size_said_at < SAY_SIZE_S && now >= t->size_said_at))
		return;
	(void)snprintf(text, sizeof(text),
	    "audit: %s holds %" PRId64 " MB, audit.max_size is %" PRId64
	    " MB: from %d %% on the oldest refused recipients, and our own, are deleted (%" PRId64
	    " until now), at 100 %% the oldest of all (%" PRId64
	    "), whatever audit.keep says: raise audit.max_size or lower audit.keep",
	    t->path, bytes >> 20, t->opt->max_size >> 20, SIZE_PRUNE,
	    t->shrunk - t->shrunk_relays, t->shrunk_relays);
	t->size_said_at = now;
	t->opt->log_state(t->shrunk_relays == 0, text);
}

/* Keep the file below audit.max_size. Refused recipients and our own go first,
 * from the oldest on; relays, which are evidence, go only when nothing else is
 * left. Before t->shrunk_to nothing else is left. */
static int
prune_size(struct audit_table *t, int64_t now, int64_t rows, struct err *err)
{
	bool near = t->bytes * 100 >= t->opt->max_size * SIZE_PRUNE;
	int64_t bytes = t->opt->max_size == 0 || (now == t->sized_at && !near)
	    ? 0
	    : size_of(t, err);
	bool end = false;

	if (bytes <= 0)
		return (int)bytes;
	t->sized_at = now;
	t->bytes = bytes;
	say_size(t, bytes, now);
	bool full = bytes >= t->opt->max_size;

	/* Recent refusals stay as long as there is room. */
	if (bytes * 100 >= t->opt->max_size * SIZE_PRUNE &&
	    (full || now - t->round_ended_at >= NEXT_ROUND_S ||
		now < t->round_ended_at)) {
		if (shrink(t, false, rows, &end, err) == -1)
			return -1;
		t->round_ended_at = end ? now : t->round_ended_at;
	}
	if (!full || !end)
		return 0;
	/* The rows that were just deleted may make room enough. */
	bytes = size_of(t, err);
	if (bytes < t->opt->max_size)
		return bytes == -1 ? -1 : 0;
	return shrink(t, true, rows, &end, err);
}

int
audit_table_prune(struct audit_table *t, int64_t rows, struct err *err)
{
	int64_t now = clock_now();

	if (prune_size(t, now, rows, err) == -1)
		return -1;
	if (now - t->pruned_at < PRUNE_EVERY_S && now >= t->pruned_at)
		return 0;
	(void)sqlite3_bind_int64(t->prune, 1, (now - t->opt->keep_s) * 1000);
	(void)sqlite3_bind_int(t->prune, 2, PRUNE_ROWS);
	if (db_run(t->db, t->prune, "prune", err) == -1)
		return -1;
	/* A busy minute leaves the cache full of index pages. */
	(void)sqlite3_db_release_memory(t->db);
	int pruned = sqlite3_changes(t->db);

	/* A long backlog goes on with the next transaction. */
	if (pruned < PRUNE_ROWS)
		t->pruned_at = now;
	return prune_breaches(t, now, err);
}
