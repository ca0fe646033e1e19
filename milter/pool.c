/* SPDX-License-Identifier: ISC */
#include "milter/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/guarded.h"
#include "common/db/store.h"

enum {
	/* How long a table that was replaced may still be believed. */
	LOOK_MS = 10,
	/* An open table takes some 300 KB, and a look-up microseconds. So a
	 * thread that finds all lent waits for one to come back. It opens one
	 * more only when that takes longer than it ever should: a locked
	 * table, a slow disk. */
	READERS = 4,
	WAIT_MS = 20
};

struct pool {
	char *path;
	struct mutex mtx;
	pthread_cond_t came_back;
	/* all below is guarded by mtx */
	struct store *idle[READERS]; /* a stack: the warm one on top */
	unsigned n_idle, n_lent, n_waiting;
	unsigned generation; /* of the file; a loan of an older one ends */
	struct stat id;
	int64_t looked_ms; /* when id was read; 0: it couldn't be */
};

struct pool *
pool_new(const char *path)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL || (pool->path = strdup(path)) == NULL) {
		free(pool);
		return NULL;
	}
	mutex_init(&pool->mtx);
	(void)pthread_cond_init(&pool->came_back, NULL);
	return pool;
}

static void
drop_idle(struct pool *pool)
{
	while (pool->n_idle > 0)
		store_close(&pool->idle[--pool->n_idle]);
}

void
pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	assert(pool->n_lent == 0 && pool->n_waiting == 0);
	drop_idle(pool);
	mutex_destroy(&pool->mtx);
	(void)pthread_cond_destroy(&pool->came_back);
	free(pool->path);
	free(pool);
}

/* Another file, other permissions, or a file that became
 * shorter (no SQLite does that to a table in use): what we have open is not
 * what is there now. */
static void
check_file(struct pool *pool, const struct stat *now) REQUIRES(pool->mtx)
{
	bool same = now->st_dev == pool->id.st_dev &&
	    now->st_ino == pool->id.st_ino &&
	    now->st_mode == pool->id.st_mode &&
	    now->st_size >= pool->id.st_size;

	pool->id = *now;
	if (same)
		return;
	pool->generation++;
	drop_idle(pool);
}

/* One of those that are open, or NULL to open one. */
static struct store *
take_idle(struct pool *pool) REQUIRES(pool->mtx)
{
	struct timespec until;

	assert(pool->n_idle <= READERS);
	if (pool->n_idle == 0 && pool->n_lent >= READERS) {
		clock_deadline(WAIT_MS, &until);
		pool->n_waiting++;
		while (pool->n_idle == 0 && pool->n_lent >= READERS &&
		    mutex_wait_until(&pool->mtx, &pool->came_back, &until))
			continue;
		pool->n_waiting--;
	}
	return pool->n_idle == 0 ? NULL : pool->idle[--pool->n_idle];
}

int
pool_take(struct pool *pool, struct pool_loan *loan, struct err *err)
{
	int64_t now_ms = clock_coarse_ms();
	struct stat now = { 0 };
	int error = 0;

	loan->st = NULL;
	mutex_lock(&pool->mtx);
	if (pool->looked_ms == 0 || now_ms - pool->looked_ms >= LOOK_MS) {
		error = stat(pool->path, &now) == 0 ? 0 : errno;
		pool->looked_ms = error == 0 ? now_ms : 0;
		check_file(pool, &now);
	}
	if (error == 0) {
		loan->st = take_idle(pool);
		loan->generation = pool->generation;
		pool->n_lent++;
	}
	mutex_unlock(&pool->mtx);
	if (error != 0) {
		err_set(err, ERR_IO, "%s: %s", pool->path, strerror(error));
		return -1;
	}
	if (loan->st != NULL ||
	    store_open(pool->path, STORE_READ, &loan->st, err) == 0)
		return 0;
	pool_give(pool, loan, false);
	return -1;
}

void
pool_give(struct pool *pool, struct pool_loan *loan, bool good)
{
	assert(loan->st != NULL || !good);
	mutex_lock(&pool->mtx);
	assert(pool->n_lent > 0 && loan->generation <= pool->generation);
	pool->n_lent--;
	if (good && loan->generation == pool->generation &&
	    pool->n_idle < READERS) {
		pool->idle[pool->n_idle++] = loan->st;
		loan->st = NULL;
	}
	if (pool->n_waiting > 0)
		(void)pthread_cond_signal(&pool->came_back);
	mutex_unlock(&pool->mtx);
	store_close(&loan->st);
}
