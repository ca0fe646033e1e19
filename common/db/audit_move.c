/* SPDX-License-Identifier: ISC */
/* When the audit's -wal is brought to the disk, and moved into the file.
 * Threads of their own do both while rows are committed. The mover moves nearly
 * all; the writer moves the few frames that came meanwhile, since SQLite begins
 * the -wal anew only when all of it is moved. */
#include <assert.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/audit_table.h"

enum {
	LONG_FRAMES = 8000,
	FEW_FRAMES = 250, /* are moved in passing */
	/* The disk takes the -wal faster than the file: the writer slows down,
	 * or the -wal would fill the disk. */
	TOO_LONG_FRAMES = 8 * LONG_FRAMES,
	SLOW_DOWN_MS = 1000,
	AGAIN_MS = 100
};

/* --- the -wal, to the disk --- */

static void
sync_job(sqlite3 *db, const char *path, struct audit_done *done_r)
{
	(void)path;
	done_r->good = db_file_sync(db, &done_r->err) == 0;
}

static void
note_unsynced(struct audit_table *t, const struct err *why)
{
	t->unsynced = true;
	t->why_unsynced = *why;
}

int
audit_table_sync_all(struct audit_table *t, struct err *err)
{
	if (db_file_sync(t->db, err) == 0)
		return 0;
	note_unsynced(t, err);
	return -1;
}

bool
audit_table_syncable(const struct audit_table *t)
{
	return t->syncable && !t->gone && !t->reopen && !t->unsynced;
}

void
audit_table_sync_begin(struct audit_table *t)
{
	assert(t->syncable && !t->syncing);
	t->syncing = true;
	audit_aside_begin(t->syncer);
}

enum audit_synced
audit_table_sync_ended(struct audit_table *t, int wait_ms, struct err *err)
{
	struct audit_done done = { .frames = -1 };
	const char *what;

	/* the file was opened anew meanwhile */
	if (!t->syncing)
		return AUDIT_SYNC_UNSURE;
	if (!audit_aside_ended(t->syncer, wait_ms, &done))
		return AUDIT_SYNC_PENDING;
	t->syncing = false;
	if (!done.good) {
		*err = done.err;
		return AUDIT_SYNC_FAILED;
	}
	if (t->db == NULL || t->gone || t->reopen ||
	    db_file_look(t->db, &t->file, audit_table_moving(t), &what) !=
		DB_SAME)
		return AUDIT_SYNC_UNSURE;
	t->synced_ms = clock_monotonic_ms();
	return AUDIT_SYNC_DONE;
}

/* --- the -wal, into the file --- */

/* A reader may need some of it: then that stays. */
static void
move_job(sqlite3 *db, const char *path, struct audit_done *done_r)
{
	struct err err;
	int frames;

	if (sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE,
		&frames, &done_r->frames) != SQLITE_OK)
		done_r->frames = -1;
	done_r->good = sqlite3_extended_errcode(db) != SQLITE_IOERR_FSYNC;
	if (!done_r->good)
		err_set(&done_r->err, ERR_IO,
		    "%s can't be brought to the disk: %s", path,
		    sqlite3_errmsg(db));
	done_r->noted = db_file_note(db, path, &done_r->file, &err) == 0;
}

void
audit_table_asides(struct audit_table *t, void (*synced)(void *arg), void *arg)
{
	t->mover = audit_aside_new(move_job, NULL, NULL);
	t->syncer = audit_aside_new(sync_job, synced, arg);
}

/* Called after each commit with the number of frames in the -wal. */
static int
on_commit(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct audit_table *t = arg;

	(void)name;
	if (frames < t->file.wal.frames)
		t->moved = 0; /* it was begun anew */
	db_file_committed(db, &t->file, frames);
	return SQLITE_OK;
}

void
audit_table_end_asides(struct audit_table *t)
{
	struct audit_done done = { .frames = -1 };

	if (audit_aside_close(t->mover, &done) && !done.good)
		note_unsynced(t, &done.err);
	if (audit_aside_close(t->syncer, &done) && !done.good)
		note_unsynced(t, &done.err);
	t->movable = t->moving = t->syncable = t->syncing = false;
}

void
audit_table_watch_wal(struct audit_table *t)
{
	t->moved = 0;
	t->move_again_ms = 0;
	t->movable = audit_aside_open(t->mover, t->path, &t->file);
	t->syncable = audit_aside_open(t->syncer, t->path, &t->file);
	/* This replaces the automatic checkpoint. */
	(void)sqlite3_wal_hook(t->db, on_commit, t);
}

/* The file as a move left it is ours. If it was replaced at this very moment,
 * the next look finds it. */
static void
note(struct audit_table *t, struct db_file *now)
{
	if (!db_file_same(now, &t->file))
		return;
	now->wal = t->file.wal;
	t->file = *now;
}

/* A move has ended. */
static void
take(struct audit_table *t, struct audit_done *moved)
{
	t->moving = false;
	if (!moved->good)
		note_unsynced(t, &moved->err);
	/* more than there are now: of the -wal before */
	if (moved->frames <= t->moved || moved->frames > t->file.wal.frames)
		t->move_again_ms = clock_monotonic_ms() + AGAIN_MS;
	else
		t->moved = moved->frames;
	if (moved->noted)
		note(t, &moved->file);
}

bool
audit_table_moving(struct audit_table *t)
{
	if (!t->moving)
		return false;
	struct audit_done moved = { .frames = -1 };

	if (audit_aside_ended(t->mover, 0, &moved))
		take(t, &moved);
	return t->moving;
}

void
audit_table_end_move(struct audit_table *t)
{
	struct audit_done moved = { .frames = -1 };

	while (t->moving)
		if (audit_aside_ended(t->mover, SLOW_DOWN_MS, &moved))
			take(t, &moved);
}

/* Move what is left. */
static void
move_here(struct audit_table *t)
{
	struct audit_done moved = { .frames = -1 };

	move_job(t->db, t->path, &moved);
	take(t, &moved);
}

void
audit_table_checkpoint(struct audit_table *t)
{
	struct audit_done moved = { .frames = -1 };
	const char *what;

	if (t->db == NULL || t->gone || t->reopen || t->unsynced ||
	    t->file.wal.frames < LONG_FRAMES)
		return;
	if (audit_table_moving(t)) {
		if (t->file.wal.frames < TOO_LONG_FRAMES ||
		    !audit_aside_ended(t->mover, SLOW_DOWN_MS, &moved))
			return;
		take(t, &moved);
	}
	/* The next commit begins the -wal anew. To move it once more beside
	 * another program's commit, which may do that, can damage the file
	 * (SQLite before 3.51.3); so the mover never begins with few frames,
	 * either. */
	if (t->moved >= t->file.wal.frames)
		return;
	if (clock_monotonic_ms() < t->move_again_ms ||
	    db_file_look(t->db, &t->file, false, &what) != DB_SAME)
		return;
	if (t->movable && t->file.wal.frames - t->moved > FEW_FRAMES) {
		t->moving = true;
		audit_aside_begin(t->mover);
	} else {
		move_here(t);
	}
}
