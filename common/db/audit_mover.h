/* SPDX-License-Identifier: ISC */
/* audit_mover - a thread that moves the audit's -wal into the file while its
 * writer commits on. That takes 50 ms and more, and nobody waits for it.
 *
 * Has a connection of its own, which is open as long as the writer's. The other
 * functions are for the writer's thread alone. Used by audit_table.c only. */
#ifndef POPGATE_AUDIT_MOVER_H
#define POPGATE_AUDIT_MOVER_H

#include <stdbool.h>

#include "common/db/db_file.h"

struct audit_mover;

/* What became of a move. */
struct audit_moved {
	int frames; /* of the -wal that are in the file now; -1: none */
	bool noted;
	struct db_file file; /* when noted: as the move left it */
};

/* Start the thread. NULL: there is no memory, or no thread. */
struct audit_mover *audit_mover_new(void);
void audit_mover_free(struct audit_mover *m); /* NULL-safe; closed before */

/* Open the file that the writer has opened.
 *   path  borrowed until audit_mover_close()
 * False: it can't be, and the writer has to move its frames itself. */
bool audit_mover_open(
    struct audit_mover *m, const char *path, const struct db_file *file);
/* Wait for the end of the move, if there is one, and close. */
void audit_mover_close(struct audit_mover *m);

/* Begin to move; not while a move is under way. */
void audit_mover_begin(struct audit_mover *m);

/* Has the move ended? Waits for that up to wait_ms. True only once for each
 * move, with *moved_r. */
bool audit_mover_ended(
    struct audit_mover *m, int wait_ms, struct audit_moved *moved_r);

#endif
