/* SPDX-License-Identifier: ISC */
/* journal - changes to a system's files that can be put back: what was there
 * is copied away, durably, before the first change, and a run that is
 * interrupted at any instant is recognised by the next one (setup_recover() in
 * apply.c).
 *
 * A directory that only root may enter holds a numbered directory for each
 * transaction: "manifest" (the state, and an entry a line), and for its N-th
 * file "N.before", with owner, mode, extended attributes and times, and
 * "N.after". Without a manifest nothing has been changed yet. A file is only
 * put back where it still is what the transaction made of it.
 * Errors go to struct err; nothing is logged. One thread. */
#ifndef POPGATE_JOURNAL_H
#define POPGATE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct journal;

enum journal_state {
	JOURNAL_NOTHING, /* no transaction that could be undone */
	JOURNAL_APPLYING, /* interrupted while changes were made */
	JOURNAL_APPLIED,
	JOURNAL_UNDOING /* interrupted while changes were put back */
};

/* The fate of an entry that is undone. */
enum journal_fate {
	JOURNAL_RESTORED,
	JOURNAL_REMOVED, /* it wasn't there before */
	JOURNAL_UNTOUCHED, /* it is as it was before */
	JOURNAL_LEFT, /* somebody has changed it since */
	JOURNAL_FAILED /* err says why */
};

/* The caller is told this of each entry while it is undone. */
struct journal_told {
	enum journal_fate fate;
	const char *path; /* of a file; or NULL, and the words of an act */
	const char *act;
	const char *before, *after; /* copies; before NULL: it wasn't there */
	const struct err *err; /* JOURNAL_FAILED */
};

/* The undoing side: acts are not the journal's to undo. */
struct journal_undo {
	/* 0, or -1 with err. It may be called for an act that was never done,
	 * or again. */
	int (*act)(void *arg, const char *act, struct err *err);
	void (*tell)(void *arg, const struct journal_told *told);
	void *arg;
};

enum journal_access {
	JOURNAL_LOOK, /* changes nothing, locks nothing */
	JOURNAL_CHANGE /* made if it isn't there; no other setup meanwhile */
};

/* Open the journal in directory dir, which belongs to root alone.
 * 0, or -1 with err: ERR_BUSY when another one has it open for changes.
 * JOURNAL_LOOK: a directory that isn't there is an empty journal. */
int journal_open(const char *dir, enum journal_access access,
    struct journal **j_r, struct err *err);
void journal_close(struct journal **j); /* NULL-safe; sets *j to NULL */

/* The state of the newest transaction that can be undone.
 *   at_r  when it began, Unix seconds; may be NULL */
enum journal_state journal_state(const struct journal *j, int64_t *at_r);

/* Is there a journal in dir with nothing in it, as an undo, or a run that put
 * all back, leaves it? Also for who isn't root, where the file system counts
 * directories in st_nlink.
 *   at_r  when it became so, Unix seconds */
bool journal_is_empty(const char *dir, int64_t *at_r);

/* Ask fn about each act that is applied and not undone, newest first: stop at
 * the first true. */
bool journal_each_act(
    const struct journal *j, bool (*fn)(void *arg, const char *act), void *arg);

/* --- a transaction: entries, seal, make them, commit --- */

/* Begin; what went before must be JOURNAL_NOTHING or JOURNAL_APPLIED. */
int journal_begin(struct journal *j, int64_t now, struct err *err);

/* Add a file that is to be changed.
 *   path    absolute, no symbolic link; copied
 *   before  what it holds, as it was read for the plan; NULL: it isn't there.
 *           journal_seal() fails when this isn't so any more
 *   after   what it shall hold; both copied
 *   mode    of a file that isn't there */
int journal_add_file(struct journal *j, const char *path, const char *before,
    size_t before_len, const char *after, size_t after_len, mode_t mode,
    struct err *err);

/* Add something else that is done and can be undone: words that mean something
 * to struct journal_undo. Entries are undone in reverse order. */
int journal_add_act(struct journal *j, const char *act, struct err *err);

/* Copy all files away and stage the new ones beside them. From now on, and
 * until journal_commit(), an interruption is recognised. On -1 nothing was
 * changed, and the transaction is gone. */
int journal_seal(struct journal *j, struct err *err);

/* Change a file that was added. */
int journal_make(struct journal *j, const char *path, struct err *err);

/* All is done and good. */
int journal_commit(struct journal *j, struct err *err);

/* --- back --- */

/* Undo the newest transaction, or all of them, newest first. Safe to repeat
 * after it was interrupted. Returns how many entries were left or failed; -1
 * with err when nothing could be begun. */
int journal_undo_newest(
    struct journal *j, const struct journal_undo *undo, struct err *err);
int journal_undo_all(
    struct journal *j, const struct journal_undo *undo, struct err *err);

/* Call fn for each file that an earlier undo has left because somebody had
 * changed it. */
void journal_each_left(const struct journal *j,
    void (*fn)(void *arg, const struct journal_told *told), void *arg);

#endif
