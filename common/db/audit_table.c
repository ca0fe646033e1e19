/* SPDX-License-Identifier: ISC */
#include "common/db/audit_table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/sql.h"

enum {
	WRITE_BUSY_MS = 2000,
	/* A larger file isn't read through because somebody wrote to it. */
	CHECK_BYTES = 64 << 20,
	CHECK_MS = 5000 /* how often a damaged file is read through */
};

static void
bind(sqlite3_stmt *stmt, int i, const char *text, bool null_if_empty)
{
	if (null_if_empty && *text == '\0')
		(void)sqlite3_bind_null(stmt, i);
	else
		(void)sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
}

/* The same of a row's own text, whose length is known. */
static void
bind_row(sqlite3_stmt *stmt, int i, const struct audit_row *row,
    enum audit_text text, bool null_if_empty)
{
	int len = audit_row_len(row, text);

	if (null_if_empty && len == 0)
		(void)sqlite3_bind_null(stmt, i);
	else
		(void)sqlite3_bind_text(
		    stmt, i, audit_row_text(row, text), len, SQLITE_STATIC);
}

/* Add the repeats since the last call to the rows that stand for them. */
static int
write_repeats(struct audit_table *t, struct err *err)
{
	struct repeat *p;

	while ((p = repeats_take(t->repeats)) != NULL) {
		(void)sqlite3_bind_int64(t->again, 1, p->more);
		(void)sqlite3_bind_int64(t->again, 2, p->last_ms);
		(void)sqlite3_bind_int64(t->again, 3, p->id);
		p->more = 0;
		if (db_run(t->db, t->again, "repeated refusals", err) == -1)
			return -1;
	}
	return 0;
}

/* The row that counts the repeats of this one; *p_r is NULL when the row isn't
 * a refusal. 0, or -1 with err. */
static int
repeat_of(struct audit_table *t, const struct audit_row *row,
    struct repeat **p_r, struct err *err)
{
	const struct repeat_key key = { .client = audit_row_text(row, T_CLIENT),
		.auth_user = audit_row_text(row, T_AUTH_USER),
		.login_user = audit_row_text(row, T_LOGIN_USER),
		.verdict = row->decision.verdict,
		.reason = row->decision.reason,
		.channel = (int)row->channel };

	*p_r = NULL;
	if (row->local || !audit_row_refused(row))
		return 0;
	*p_r = repeats_find(t->repeats, &key, row->at_ms);
	if (*p_r != NULL)
		return 0;
	if (write_repeats(t, err) == -1)
		return -1;
	*p_r = repeats_find(t->repeats, &key, row->at_ms);
	return 0;
}

static int
insert_whole(struct audit_table *t, const struct audit_row *row, bool took,
    struct err *err)
{
	sqlite3_stmt *s = t->insert;

	(void)sqlite3_bind_int64(s, 1, row->at_ms);
	bind_row(s, 2, row, T_SESSION, false);
	bind(s, 3, row->queue_id, true);
	bind_row(s, 4, row, T_CLIENT, false);
	bind_row(s, 5, row, T_CLIENT_NAME, false);
	bind_row(s, 6, row, T_HELO, false);
	bind_row(s, 7, row, T_SENDER, false);
	bind_row(s, 8, row, T_RECIPIENT, false);
	bind(s, 9, row->local ? "local" : "relay", false);
	bind(s, 10, verdict_name(row->decision.verdict), false);
	bind(s, 11, reason_name(row->decision.reason), false);
	bind_row(s, 12, row, T_AUTH_USER, true);
	bind_row(s, 13, row, T_LOGIN_USER, true);
	if (row->decision.login_at == 0)
		(void)sqlite3_bind_null(s, 14);
	else
		(void)sqlite3_bind_int64(s, 14, row->decision.login_at);
	(void)sqlite3_bind_int(s, 15, row->decision.rule);
	if (row->aborted)
		bind(s, 16, "aborted", false);
	else
		bind_row(s, 16, row, T_REPLY, true);
	bind(s, 17, audit_channel_name(row->channel), false);
	bind_row(s, 18, row, T_MTA, false);
	bind_row(s, 19, row, T_CERTIFICATE, true);
	(void)sqlite3_bind_int(s, 20, took);
	if (db_run(t->db, s, "decision", err) == -1)
		return -1;
	t->new_id = sqlite3_last_insert_rowid(t->db);
	return 0;
}

static void
note_number(struct audit_table *t, uint64_t number, int64_t id)
{
	if (number == 0)
		return;
	t->numbers[number % AUDIT_NUMBERS] =
	    (struct audit_number){ .number = number, .id = id };
	if (number > t->newest_number)
		t->newest_number = number;
}

/* The row of that number stands for one recipient less: this one does. A row
 * of another file, or of long ago, stays as it is. *took_r: it accepted the
 * very recipient. */
static int
take_number(
    struct audit_table *t, uint64_t number, bool *took_r, struct err *err)
{
	struct audit_number *n = &t->numbers[number % AUDIT_NUMBERS];

	*took_r = false;
	if (number <= t->unknown_number || n->number != number)
		return 0;
	n->number = 0;
	(void)sqlite3_bind_int64(t->take, 1, n->id);
	int rc = sqlite3_step(t->take);

	*took_r = rc == SQLITE_ROW && sqlite3_column_int(t->take, 0) != 0;
	return db_walked(t->db, t->take, rc, "decision", err);
}

/* Give up rows among the newest AUDIT_NUMBERS of the file. */
static int
give_up(struct audit_table *t, const struct audit_row *row, struct err *err)
{
	int64_t newest = t->new_id != 0 ? t->new_id : t->last_id;

	bind_row(t->give_up, 1, row, T_CLIENT, false);
	bind_row(t->give_up, 2, row, T_SESSION, false);
	(void)sqlite3_bind_int64(t->give_up, 3, newest - AUDIT_NUMBERS);
	return db_run(t->db, t->give_up, "decision", err);
}

int
audit_table_insert(
    struct audit_table *t, const struct audit_row *row, struct err *err)
{
	struct repeat *p;
	bool took;

	assert(t->db != NULL);
	if (row->kind == ROW_GIVING_UP)
		return give_up(t, row, err);
	if (take_number(t, row->takes, &took, err) == -1)
		return -1;
	if (row->kind != ROW_DECISION)
		return 0;
	if (repeat_of(t, row, &p, err) == -1)
		return -1;
	if (p != NULL && p->id != 0) {
		repeats_count(t->repeats, p, row->at_ms);
		note_number(t, row->number, p->id);
		return 0;
	}
	if (insert_whole(t, row, took, err) == -1)
		return -1;
	note_number(t, row->number, t->new_id);
	if (p != NULL && ++p->rows > REPEAT_ROWS)
		p->id = t->new_id;
	return 0;
}

static int
write_tallies(struct audit_table *t, uint64_t tallies[3][REASONS], bool probe,
    struct err *err)
{
	int64_t now = clock_now();

	for (int c = 0; c < 3; c++)
		for (int r = 0; r < REASONS; r++) {
			if (tallies[c][r] == 0 &&
			    !(probe && c == 0 && r == REASON_AUDIT_UNAVAILABLE))
				continue;
			(void)sqlite3_bind_int64(t->tally, 1, now - now % 3600);
			bind(t->tally, 2,
			    audit_channel_name((enum audit_channel)c), false);
			bind(t->tally, 3, reason_name((enum reason)r), false);
			(void)sqlite3_bind_int64(
			    t->tally, 4, (sqlite3_int64)tallies[c][r]);
			if (db_run(t->db, t->tally, "tally", err) == -1)
				return -1;
		}
	return 0;
}

int
audit_table_count(struct audit_table *t, uint64_t tallies[3][REASONS],
    bool probe, struct err *err)
{
	return write_repeats(t, err) == -1
	    ? -1
	    : write_tallies(t, tallies, probe, err);
}

int
audit_table_breaches(
    struct audit_table *t, const struct breach *list, struct err *err)
{
	for (; list != NULL; list = list->next) {
		const struct audit_breach *b = &list->b;
		sqlite3_stmt *s = t->breach;

		(void)sqlite3_bind_int64(s, 1, b->at_ms);
		bind(s, 2, audit_kind(b->is_user, b->by_login), false);
		bind(s, 3, b->subject, false);
		bind(s, 4, b->setting, false);
		bind(s, 5, b->allowed, false);
		bind(s, 6, b->client, false);
		bind(s, 7, b->user, true);
		bind(s, 8, b->sender, false);
		if (b->denied_until == 0)
			(void)sqlite3_bind_null(s, 9);
		else
			(void)sqlite3_bind_int64(s, 9, b->denied_until);
		if (db_run(t->db, s, "breach", err) == -1)
			return -1;
	}
	return 0;
}

void
audit_table_rollback(struct audit_table *t)
{
	if (t->db != NULL && !sqlite3_get_autocommit(t->db))
		(void)sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
	/* The rows that count repeats, and those of numbers, may have gone with
	 * it. */
	repeats_forget(t->repeats);
	t->unknown_number = t->newest_number;
}

/* Tell opt->lifted of new lifts. Only this writer writes decisions, so a file
 * that changed may hold one. An error here shows at the next BEGIN. */
static void
read_lifts(struct audit_table *t)
{
	sqlite3_stmt *s = t->lifts;
	int64_t version =
	    t->version == NULL || sqlite3_step(t->version) != SQLITE_ROW
	    ? t->data_version
	    : sqlite3_column_int64(t->version, 0);

	(void)sqlite3_reset(t->version);
	if (t->opt->lifted == NULL || version == t->data_version)
		return;
	(void)sqlite3_bind_int64(s, 1, t->lift_id);
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		t->lift_id = sqlite3_column_int64(s, 0);
		t->opt->lifted(t->opt->lifted_arg,
		    strcmp(db_text(s, 1), "user") == 0, db_text(s, 2));
	}
	if (rc == SQLITE_DONE)
		t->data_version = version;
	(void)sqlite3_reset(s);
}

static bool
check_whole(struct audit_table *t, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	bool good = true;

	if (t->file.size > CHECK_BYTES)
		return true;
	if (db_prepare(t->db, "PRAGMA quick_check(1)", &stmt, err) == 0)
		good = sqlite3_step(stmt) == SQLITE_ROW &&
		    strcmp(db_text(stmt, 0), "ok") == 0;
	(void)sqlite3_finalize(stmt);
	return good;
}

/* Another program wrote to the file. A checkpoint is harmless; a backup that
 * was copied into the file is not. Opens the file again; false with err: what
 * we wrote is no longer there, or the file is damaged. */
static bool
still_ours(struct audit_table *t, const char *what, struct err *err)
{
	t->gone = true; /* don't write into it, while closing */
	audit_table_close(t);
	t->checked_ms = clock_monotonic_ms();
	if (audit_table_open(t, err) == -1)
		return false;
	int64_t newest = db_number(
	    t->db, "SELECT coalesce(max(id), 0) FROM channel_decision", err);

	t->damaged = newest == -1 || !check_whole(t, err);
	if (t->damaged) {
		err_set(err, ERR_CORRUPT,
		    "%s %s and is damaged: stop popgate-milter, put a backup in its place or move it and its -wal and -shm away, and start popgate-milter",
		    t->path, what);
		return false;
	}
	if (newest >= t->last_id)
		return true;
	t->whole_since_ms = clock_now_ms();
	err_set(err, ERR_IO, "%s %s: its newest decisions are no longer in it",
	    t->path, what);
	t->last_id = newest;
	return false;
}

bool
audit_table_good(struct audit_table *t, struct err *err)
{
	const char *what;

	if (t->db == NULL)
		return true;
	switch (db_file_look(t->db, &t->file, audit_table_moving(t), &what)) {
	case DB_SAME:
		return true;
	case DB_SHM_GONE:
		t->reopen = true;
		return true;
	case DB_WRITTEN:
		return still_ours(t, what, err);
	case DB_WAL_GONE:
		/* Our descriptors have the only copy: move it into the file.
		 */
		audit_table_end_move(t);
		t->reopen =
		    sqlite3_wal_checkpoint_v2(t->db, NULL,
			SQLITE_CHECKPOINT_FULL, NULL, NULL) == SQLITE_OK;
		if (t->reopen)
			return true;
		break;
	case DB_GONE:
		break;
	}
	err_set(err, ERR_IO,
	    "%s %s while popgate-milter wrote to it: the decisions in it are gone; it is made anew (to put a backup there, stop popgate-milter first)",
	    t->path, what);
	t->gone = true;
	t->damaged = false;
	t->whole_since_ms = clock_now_ms();
	return false;
}

int
audit_table_begin(struct audit_table *t, bool probe, struct err *err)
{
	t->new_id = 0;
	/* The file may have been replaced since the failure. */
	if (t->damaged && clock_monotonic_ms() - t->checked_ms > CHECK_MS)
		(void)still_ours(t, "was written by another program", err);
	else if (!t->damaged &&
	    (probe || t->gone || t->reopen || t->db == NULL)) {
		audit_table_close(t);
		(void)audit_table_open(t, err);
	}
	if (t->damaged)
		return -1;
	if (t->db != NULL)
		read_lifts(t);
	return t->db == NULL ? -1 : db_run(t->db, t->begin, "begin", err);
}

int
audit_table_commit(struct audit_table *t, struct err *err)
{
	if (db_run(t->db, t->commit, "commit", err) == -1)
		return -1;
	if (t->new_id != 0)
		t->last_id = t->new_id;
	return 0;
}

int
audit_table_sync(struct audit_table *t, struct err *err)
{
	bool good = !t->unsynced && db_file_sync(t->db, err) == 0 &&
	    audit_table_good(t, err);

	if (t->unsynced)
		*err = t->why_unsynced;
	t->unsynced = false;
	t->synced_ms = clock_monotonic_ms();
	return good ? 0 : -1;
}

/* A condition for every DELETE: the newest row stays. SQLite would give its id
 * to the next row, but ids must grow, since rows are known by them. */
#define NOT_THE_NEWEST "id < (SELECT max(id) FROM channel_decision) "

static int
prepare_size(struct audit_table *t, struct err *err)
{
	return db_prepare(t->db,
		   "UPDATE channel_decision SET count = count + ?1, "
		   "last_at = ?2 WHERE id = ?3",
		   &t->again, err) == -1 ||
		db_prepare(t->db,
		    "UPDATE channel_decision SET count = count - 1 "
		    "WHERE id = ?1 RETURNING "
		    "recipient <> '' AND verdict = 'accept'",
		    &t->take, err) == -1 ||
		db_prepare(t->db,
		    "UPDATE channel_decision INDEXED BY decision_by_client "
		    "SET reply = '" AUDIT_ABORTED "' "
		    "WHERE client = ?1 AND session = ?2 AND id > ?3 "
		    "AND verdict = 'accept'",
		    &t->give_up, err) == -1 ||
		db_prepare(t->db,
		    "SELECT (p.page_count - f.freelist_count) * s.page_size "
		    "FROM pragma_page_count AS p, pragma_freelist_count AS f, "
		    "pragma_page_size AS s",
		    &t->pages, err) == -1 ||
		db_prepare(t->db,
		    "SELECT max(id), count(*) FROM "
		    "(SELECT id FROM channel_decision "
		    "WHERE id > ?1 ORDER BY id LIMIT ?2)",
		    &t->shrink_to, err) == -1 ||
		db_prepare(t->db,
		    "DELETE FROM channel_decision WHERE id > ?1 AND id <= ?2 "
		    "AND " NOT_THE_NEWEST "AND (?3 OR class = 'local' "
		    "OR verdict IN ('reject', 'tempfail') "
		    "OR (channel <> 'milter' AND "
		    "verdict IN ('would-reject', 'would-tempfail')))",
		    &t->shrink, err) == -1
	    ? -1
	    : 0;
}

/* The first row of all is the oldest trace of when the file was made. 0, or -1
 * with err. */
static int
note_age(struct audit_table *t, struct err *err)
{
	int64_t newest = db_number(
	    t->db, "SELECT coalesce(max(id), 0) FROM channel_decision", err);
	int64_t first = newest == -1
	    ? -1
	    : db_number(t->db,
		  "SELECT coalesce((SELECT at FROM channel_decision "
		  "WHERE id = 1), 0)",
		  err);

	if (first == -1)
		return -1;
	if (newest == 0)
		first = clock_now_ms();
	if (first > t->whole_since_ms)
		t->whole_since_ms = first;
	return 0;
}

bool
audit_table_init(struct audit_table *t, const struct audit_options *opt,
    const char *path, void (*synced)(void *arg), void *arg)
{
	*t = (struct audit_table){ .opt = opt,
		.path = path,
		.repeats = repeats_new(),
		.numbers = calloc(AUDIT_NUMBERS, sizeof(*t->numbers)),
		.lift_id = -1 };
	audit_table_asides(t, synced, arg);
	return t->repeats != NULL && t->numbers != NULL;
}

void
audit_table_release(struct audit_table *t)
{
	assert(t->db == NULL);
	audit_aside_free(t->mover);
	audit_aside_free(t->syncer);
	repeats_free(t->repeats);
	free(t->numbers);
}

int
audit_table_open(struct audit_table *t, struct err *err)
{
	int64_t lift_id;

	assert(t->db == NULL);
	t->unknown_number = t->newest_number;
	if (db_open(t->path, DB_CREATE, WRITE_BUSY_MS, sql_audit,
		SQL_AUDIT_STEPS, &t->db, err) == -1)
		return -1;
	t->gone = t->reopen = false;
	/* A commit leaves the rows with the kernel, where they outlive this
	 * process. db_file_sync() brings them to the disk when somebody waits
	 * for that, and once now: the process before this one may have ended
	 * without. */
	if (db_exec(t->db, "PRAGMA synchronous = NORMAL", err) == 0 &&
	    db_exec(t->db, "PRAGMA cache_size = -8000", err) == 0 &&
	    db_prepare(t->db, "BEGIN IMMEDIATE", &t->begin, err) == 0 &&
	    db_prepare(t->db, "COMMIT", &t->commit, err) == 0 &&
	    db_prepare(t->db,
		"INSERT INTO channel_decision (at, session, queue_id, "
		"client, client_name, helo, sender, recipient, class, verdict, "
		"reason, auth_user, login_user, login_at, rule, reply, channel, "
		"mta, certificate, took) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "
		"?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, "
		"?20)",
		&t->insert, err) == 0 &&
	    db_prepare(t->db,
		"INSERT INTO tally (hour, channel, reason, "
		"recipients) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET "
		"recipients = recipients + excluded.recipients",
		&t->tally, err) == 0 &&
	    db_prepare(t->db,
		"DELETE FROM channel_decision WHERE id IN (SELECT id "
		"FROM channel_decision ORDER BY id LIMIT ?2) AND at < ?1 "
		"AND " NOT_THE_NEWEST,
		&t->prune, err) == 0 &&
	    db_prepare(t->db,
		"INSERT INTO breach (at, kind, subject, setting, "
		"allowed, client, user, sender, denied_until) VALUES (?1, ?2, ?3, "
		"?4, ?5, ?6, ?7, ?8, ?9)",
		&t->breach, err) == 0 &&
	    db_prepare(t->db, "PRAGMA data_version", &t->version, err) == 0 &&
	    prepare_size(t, err) == 0 &&
	    db_prepare(t->db,
		"SELECT id, kind, subject FROM lift "
		"WHERE id > ?1 AND kind <> 'login' ORDER BY id",
		&t->lifts, err) == 0 &&
	    (lift_id = db_number(
		 t->db, "SELECT coalesce(max(id), 0) FROM lift", err)) != -1 &&
	    note_age(t, err) == 0 && audit_table_old_open(t, err) == 0 &&
	    audit_table_sync_all(t, err) == 0 &&
	    db_file_note(t->db, t->path, &t->file, err) == 0) {
		/* Lifts written while the file was closed are still told. */
		if (t->lift_id == -1 || lift_id < t->lift_id)
			t->lift_id = lift_id;
		t->data_version = -1;
		audit_table_watch_wal(t);
		return 0;
	}
	audit_table_close(t);
	return -1;
}

void
audit_table_close(struct audit_table *t)
{
	struct err err;

	/* first: the last one to close moves the -wal into the file */
	audit_table_end_asides(t);
	/* while an error of the disk can be told: SQLite keeps that of its own
	 * last move to itself */
	if (t->db != NULL && !t->gone)
		(void)audit_table_sync_all(t, &err);
	audit_table_old_close(t);
	(void)sqlite3_finalize(t->begin);
	(void)sqlite3_finalize(t->commit);
	(void)sqlite3_finalize(t->insert);
	(void)sqlite3_finalize(t->tally);
	(void)sqlite3_finalize(t->prune);
	(void)sqlite3_finalize(t->breach);
	(void)sqlite3_finalize(t->version);
	(void)sqlite3_finalize(t->lifts);
	(void)sqlite3_finalize(t->again);
	(void)sqlite3_finalize(t->pages);
	(void)sqlite3_finalize(t->shrink);
	(void)sqlite3_finalize(t->shrink_to);
	(void)sqlite3_finalize(t->take);
	(void)sqlite3_finalize(t->give_up);
	t->give_up = t->take = t->again = t->pages = t->shrink = t->shrink_to =
	    NULL;
	t->begin = t->commit = t->insert = t->tally = t->prune = NULL;
	t->breach = t->version = t->lifts = NULL;
	/* The last one to close moves the -wal into the file: not into one
	 * that isn't ours. */
	if (t->db != NULL && (t->gone || t->reopen))
		(void)sqlite3_db_config(
		    t->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close(t->db);
	t->db = NULL;
}
