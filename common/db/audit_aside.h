/* SPDX-License-Identifier: ISC */
/* audit_aside - a thread that does one thing beside the audit's writer while
 * that commits on: move the -wal into the file, or bring it to the disk. Nobody
 * else waits for it.
 *
 * Has a connection of its own, which is open as long as the writer's. The other
 * functions are for the writer's thread alone. Used by audit_table.c and
 * audit_move.c only. */
#ifndef POPGATE_AUDIT_ASIDE_H
#define POPGATE_AUDIT_ASIDE_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/db/db_file.h"

struct audit_aside;

struct audit_done {
	bool good; /* the disk has told no error */
	struct err err; /* unless it was good */
	/* of a move */
	int frames; /* of the -wal that are in the file now; -1: none */
	bool noted;
	struct db_file file; /* when noted: as the move left it */
};

/* Start the thread. NULL: there is no memory, or no thread.
 *   job    what it does each time, in the thread
 *   ended  called there afterwards; NULL: nothing is */
struct audit_aside *audit_aside_new(
    void (*job)(sqlite3 *db, const char *path, struct audit_done *done_r),
    void (*ended)(void *arg), void *arg);
void audit_aside_free(struct audit_aside *x); /* NULL-safe; closed before */

/* Open the file that the writer has opened.
 *   path  borrowed until audit_aside_close()
 * False: it can't be (or x is NULL), and the writer has to do it itself. */
bool audit_aside_open(
    struct audit_aside *x, const char *path, const struct db_file *file);
/* Wait for the end of the job, if it is at work, and close. True when it has
 * ended and audit_aside_ended() hasn't said so, with *done_r. NULL-safe. */
bool audit_aside_close(struct audit_aside *x, struct audit_done *done_r);

/* Begin; not while it is at work. */
void audit_aside_begin(struct audit_aside *x);

/* Has it ended? Waits for that up to wait_ms. True only once for each time,
 * with *done_r. */
bool audit_aside_ended(
    struct audit_aside *x, int wait_ms, struct audit_done *done_r);

#endif
