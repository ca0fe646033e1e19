/* SPDX-License-Identifier: ISC */
/* journal_state - a journal in memory, as journal.c, manifest.c and undo.c
 * share it. */
#ifndef POPGATE_JOURNAL_STATE_H
#define POPGATE_JOURNAL_STATE_H

#include "ctl/setup/journal.h"
#include "ctl/setup/swap.h"

enum transaction_state {
	TRANSACTION_APPLYING,
	TRANSACTION_APPLIED,
	TRANSACTION_UNDOING,
	TRANSACTION_KEPT, /* undone, but some of its files were left */
	TRANSACTION_STATES
};

enum entry_kind { ENTRY_NEW_FILE, ENTRY_FILE, ENTRY_ACT, ENTRY_KINDS };

struct entry {
	enum entry_kind kind;
	char *name; /* path, or the words of an act */
	bool left; /* TRANSACTION_KEPT: somebody had changed it */
	/* while it is made; not in the manifest */
	char *before, *after;
	size_t before_len, after_len;
	mode_t mode;
	struct swap swap;
};

struct transaction {
	unsigned number;
	enum transaction_state state;
	int64_t at;
	struct entry *v;
	size_t n;
};

struct journal {
	char *dir;
	int lock; /* -1: JOURNAL_LOOK */
	struct transaction *v; /* oldest first */
	size_t n;
	bool sealing; /* the last one is not on disk yet */
};

/* The path of a file of a transaction, "" for its directory: to be freed by
 * the caller, or NULL with err. */
char *journal_file(const struct journal *j, const struct transaction *t,
    const char *name, struct err *err);

/* The same for the copy of the i-th entry; which: "before" or "after". */
char *journal_copy(const struct journal *j, const struct transaction *t,
    size_t i, const char *which, struct err *err);

int journal_sync_dir(const char *path, struct err *err);

/* Append an empty transaction, or an entry to one; NULL with err. */
struct transaction *journal_add(struct journal *j, struct err *err);
struct entry *transaction_add(struct transaction *t, enum entry_kind kind,
    const char *name, size_t len, struct err *err);
/* Remove it from memory; and its directory. */
void journal_drop(struct journal *j, struct transaction *t);
int journal_remove(struct journal *j, struct transaction *t, struct err *err);

/* Write the manifest, durable and in one step. */
int manifest_write(
    const struct journal *j, const struct transaction *t, struct err *err);
/* Read the transaction with that number, and append it. 1, or 0 when it has no
 * manifest, or -1 with err. */
int manifest_read(struct journal *j, unsigned number, struct err *err);

#endif
