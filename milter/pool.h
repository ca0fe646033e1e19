/* SPDX-License-Identifier: ISC */
/* pool - lends open login tables to the milter's threads, one thread at a
 * time. Notices when the file was removed or replaced, so that nobody keeps
 * asking a table that is no longer there. Threads: any. */
#ifndef POPGATE_POOL_H
#define POPGATE_POOL_H

#include <stdbool.h>

struct err;
struct pool;
struct store;

/* Nothing is opened yet: a missing table is no reason not to start. NULL when
 * memory is short. path is copied. */
struct pool *pool_new(const char *path);
void pool_free(struct pool *pool); /* NULL-safe; nothing may be lent */

struct pool_loan {
	struct store *st; /* for the borrower */
	unsigned generation; /* for pool_give() */
};

/* Borrow a table opened for reading. Waits for one to come back where all are
 * lent, some 20 ms at most. 0, or -1 with err when there is no table. */
int pool_take(struct pool *pool, struct pool_loan *loan, struct err *err);

/* Give the table back.
 *   good  false: it gave an error, and is closed */
void pool_give(struct pool *pool, struct pool_loan *loan, bool good);

#endif
