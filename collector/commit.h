/* SPDX-License-Identifier: ISC */
/* commit - the collector's side of the login database: the lock that keeps a
 * second collector out, opening and watching the file, and every transaction of
 * its loop (the share thread has its own). One thread. */
#ifndef POPGATE_COMMIT_H
#define POPGATE_COMMIT_H

#include <stdbool.h>

struct collect;
struct err;

/* Open the database unless it is open, and give each configured source its
 * row. After a failure the database is closed and c->retry_ms set. When it is
 * another file than before, its sources are closed, to be opened where that
 * file says. Returns 0, or -1 with err (ERR_BUSY: another collector has it). */
int commit_open(struct collect *c, struct err *err);

/* Write the batch and how far its sources are read in one transaction, so that
 * each login counts once. The store must be open.
 *   all  also how far the other sources are read, and the counts
 * Returns 0, or -1 with err: noted, the batch is kept, c->retry_ms set. */
int commit_flush(struct collect *c, bool all, struct err *err);

/* The clock was set back: date logins of its future as of now. Returns 0, or
 * -1 with err as commit_flush(). */
int commit_cap_future(struct collect *c, struct err *err);

/* Delete a slice of what nobody needs any more, at most once a second. */
void commit_tidy(struct collect *c);

/* Close the store when its file was deleted or replaced. */
void commit_watch(struct collect *c);

#endif
