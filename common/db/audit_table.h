/* SPDX-License-Identifier: ISC */
/* audit_table - the audit's file as its writer has it: transactions, age and
 * size of what is kept, and whether the file is still the one at its path.
 * For the writer's thread alone. Used by audit.c only. */
#ifndef POPGATE_AUDIT_TABLE_H
#define POPGATE_AUDIT_TABLE_H

#include "common/db/audit_aside.h"
#include "common/db/audit_pair.h"
#include "common/db/audit_repeat.h"
#include "common/db/audit_row.h"
#include "common/db/db.h"
#include "common/db/db_file.h"

/* The number of recipients that may be permitted between a message's RCPT and
 * its DATA; with more, a recipient may be counted twice. */
enum { AUDIT_NUMBERS = 1 << 18 };

struct audit_table {
	const struct audit_options *opt; /* borrowed, and path */
	const char *path;
	struct repeats *repeats; /* owned by audit.c */
	sqlite3 *db; /* NULL: it couldn't be opened */
	sqlite3_stmt *begin, *commit, *insert, *tally, *prune, *breach;
	sqlite3_stmt *version, *lifts;
	sqlite3_stmt *again, *pages, *shrink, *shrink_to, *take, *give_up;
	int64_t pruned_at, synced_ms;
	/* The size: bytes in use at sized_at; when we said so; when all rows
	 * had been looked at. */
	int64_t bytes, sized_at, size_said_at, round_ended_at;
	int64_t shrunk_to; /* id up to which this round has come */
	int64_t shrunk, shrunk_relays; /* rows deleted, and of any kind */
	int64_t data_version, lift_id; /* what others wrote, up to there */
	/* Where the rows of numbers are, which the milter's may take: of the
	 * newest AUDIT_NUMBERS of this file. */
	struct audit_number {
		uint64_t number;
		int64_t id;
	} * numbers; /* owned by audit.c */
	/* The newest of them, and the newest that isn't known to be in this
	 * file: it was opened anew, or a transaction failed. */
	uint64_t newest_number, unknown_number;
	/* Rows of earlier versions that are still to be paired; up_to 0:
	 * none. */
	struct {
		int64_t from, up_to;
		struct audit_pairs *pairs; /* owned */
		int64_t found;
	} old;
	int64_t new_id; /* newest row of this transaction; 0: none */
	int64_t last_id; /* newest row of ours that is committed */
	int64_t whole_since_ms; /* see audit_whole_since() */
	struct db_file file;
	struct audit_aside *mover, *syncer; /* owned; NULL: none */
	bool movable, syncable; /* it has the file open */
	bool moving, syncing; /* and is at work */
	/* The disk has failed: it tells that once, and takes what comes then.
	 * The next audit_table_sync() says so. */
	bool unsynced;
	struct err why_unsynced;
	int moved; /* frames of the -wal that are in the file */
	int64_t move_again_ms; /* not before: the last move came to nothing */
	bool gone; /* the file: don't write into what is left of it */
	bool damaged; /* somebody wrote into it */
	int64_t checked_ms; /* when we last looked whether it still is */
	bool reopen; /* nothing is lost, but its parts were replaced */
};

/* Fill in *t, of a file that isn't open; opt and path are borrowed.
 *   synced  called by another thread when audit_table_sync_ended() has news
 * Returns false when memory is short; audit_table_release() follows either way.
 */
bool audit_table_init(struct audit_table *t, const struct audit_options *opt,
    const char *path, void (*synced)(void *arg), void *arg);
void audit_table_release(struct audit_table *t);

/* Open or create the file. 0, or -1 with err. */
int audit_table_open(struct audit_table *t, struct err *err);
void audit_table_close(struct audit_table *t);

/* Will the next reader find what was written? If not, all that was written is
 * lost, and err says why. */
bool audit_table_good(struct audit_table *t, struct err *err);

/* Begin a transaction, and tell opt->lifted of those whom an admin let in
 * again.
 *   probe  the transaction before failed: open the file anew
 * 0, or -1 with err. */
int audit_table_begin(struct audit_table *t, bool probe, struct err *err);

/* Within a transaction; 0, or -1 with err: then roll back. */

/* Insert a row, or count it into one that stands for its repeats. */
int audit_table_insert(
    struct audit_table *t, const struct audit_row *row, struct err *err);

/* Write repeats and tallies.
 *   probe  write something in any case: an empty transaction would work on a
 *          full disk, too */
int audit_table_count(struct audit_table *t, uint64_t tallies[3][REASONS],
    bool probe, struct err *err);
int audit_table_breaches(
    struct audit_table *t, const struct breach *list, struct err *err);

/* Delete some of what is too old or too much.
 *   rows  so many were inserted */
int audit_table_prune(struct audit_table *t, int64_t rows, struct err *err);

/* Find the pairs among some more of an earlier version's rows, if there are
 * any. */
int audit_table_pair_old(struct audit_table *t, struct err *err);

/* Commit: the rows are with the kernel, where they outlive this process. 0, or
 * -1 with err. */
int audit_table_commit(struct audit_table *t, struct err *err);

/* Bring what is committed to the disk, and look whether the file is still
 * there. 0, or -1 with err. */
int audit_table_sync(struct audit_table *t, struct err *err);

void audit_table_rollback(struct audit_table *t);

/* Parts of audit_table_open() and audit_table_close(). */
int audit_table_old_open(struct audit_table *t, struct err *err);
void audit_table_old_close(struct audit_table *t);

/* --- of the -wal's way to the disk and into the file: audit_move.c --- */

/* Of audit_table_init(). */
void
audit_table_asides(struct audit_table *t, void (*synced)(void *arg), void *arg);

/* Of audit_table_open(), and before the file is closed. 0, or -1 with err. */
int audit_table_sync_all(struct audit_table *t, struct err *err);
/* Of audit_table_close(). */
void audit_table_end_asides(struct audit_table *t);

/* Can another thread bring what is committed to the disk, while the next is
 * committed? */
bool audit_table_syncable(const struct audit_table *t);
/* Begin that; not while it is under way. */
void audit_table_sync_begin(struct audit_table *t);

enum audit_synced {
	AUDIT_SYNC_PENDING,
	AUDIT_SYNC_DONE, /* what was committed before it began is on the disk */
	AUDIT_SYNC_UNSURE, /* audit_table_sync() has to say */
	AUDIT_SYNC_FAILED /* with err: what was committed may be lost */
};

/* How it has ended, if it has after wait_ms. */
enum audit_synced
audit_table_sync_ended(struct audit_table *t, int wait_ms, struct err *err);

/* Of audit_table_open(). */
void audit_table_watch_wal(struct audit_table *t);

/* Is it being moved? Then the file's size and time are not known. */
bool audit_table_moving(struct audit_table *t);
/* Wait until it isn't. */
void audit_table_end_move(struct audit_table *t);

/* Between transactions: have the -wal moved into the file once it is long. The
 * writer waits for that when the -wal has become very long meanwhile. */
void audit_table_checkpoint(struct audit_table *t);

#endif
