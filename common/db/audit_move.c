/* SPDX-License-Identifier: ISC */
/* When the audit's -wal is moved into the file. The mover's thread moves nearly
 * all of it while rows are committed; the writer moves the few frames that came
 * meanwhile, since SQLite begins the -wal anew only when all of it is moved. */
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/audit_table.h"

enum {
	LONG_FRAMES = 8000,
	/* The disk takes the -wal faster than the file: the writer slows down,
	 * or the -wal would fill the disk. */
	TOO_LONG_FRAMES = 8 * LONG_FRAMES,
	SLOW_DOWN_MS = 1000,
	AGAIN_MS = 100
};

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
audit_table_watch_wal(struct audit_table *t)
{
	t->moved = 0;
	t->move_again_ms = 0;
	t->movable =
	    t->mover != NULL && audit_mover_open(t->mover, t->path, &t->file);
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
take(struct audit_table *t, struct audit_moved *moved)
{
	t->moving = false;
	if (moved->frames <= t->moved)
		t->move_again_ms = clock_monotonic_ms() + AGAIN_MS;
	else
		t->moved = moved->frames;
	if (moved->noted)
		note(t, &moved->file);
}

bool
audit_table_moving(struct audit_table *t)
{
	struct audit_moved moved;

	if (t->moving && audit_mover_ended(t->mover, 0, &moved))
		take(t, &moved);
	return t->moving;
}

void
audit_table_end_move(struct audit_table *t)
{
	struct audit_moved moved;

	while (t->moving)
		if (audit_mover_ended(t->mover, SLOW_DOWN_MS, &moved))
			take(t, &moved);
}

/* Move what is left. */
static void
move_here(struct audit_table *t)
{
	struct audit_moved moved;
	struct err err;
	int frames;

	if (sqlite3_wal_checkpoint_v2(t->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
		&frames, &moved.frames) != SQLITE_OK)
		moved.frames = -1;
	moved.noted = db_file_note(t->db, t->path, &moved.file, &err) == 0;
	take(t, &moved);
}

void
audit_table_checkpoint(struct audit_table *t)
{
	struct audit_moved moved;
	const char *what;

	if (t->db == NULL || t->gone || t->reopen ||
	    t->file.wal.frames < LONG_FRAMES)
		return;
	if (audit_table_moving(t)) {
		if (t->file.wal.frames < TOO_LONG_FRAMES ||
		    !audit_mover_ended(t->mover, SLOW_DOWN_MS, &moved))
			return;
		take(t, &moved);
	}
	if (clock_monotonic_ms() < t->move_again_ms ||
	    db_file_look(t->db, &t->file, false, &what) != DB_SAME)
		return;
	if (t->movable && t->file.wal.frames - t->moved > AUDIT_FEW_FRAMES) {
		t->moving = true;
		audit_mover_begin(t->mover);
	} else {
		move_here(t);
	}
}
