/* SPDX-License-Identifier: ISC */
#include "common/db/audit_aside.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/guarded.h"
#include "common/db/db.h"
#include "common/db/sql.h"

enum state { IDLE, AT_WORK, ENDED };
enum { BUSY_MS = 1000 };

struct audit_aside {
	pthread_t thread;
	struct mutex mtx;
	pthread_cond_t begin, end;
	/* guarded by mtx */
	enum state state;
	bool stop;
	/* the thread's while AT_WORK, else the writer's */
	sqlite3 *db; /* NULL: not open */
	const char *path;
	struct audit_done done;
	/* constant */
	void (*job)(sqlite3 *db, const char *path, struct audit_done *done_r);
	void (*ended)(void *arg);
	void *arg;
};

static void *
run(void *arg)
{
	struct audit_aside *x = arg;

	mutex_lock(&x->mtx);
	for (;;) {
		while (x->state != AT_WORK && !x->stop)
			mutex_wait(&x->mtx, &x->begin);
		if (x->stop)
			break;
		mutex_unlock(&x->mtx);
		x->job(x->db, x->path, &x->done);
		mutex_lock(&x->mtx);
		x->state = ENDED;
		(void)pthread_cond_signal(&x->end);
		mutex_unlock(&x->mtx);
		if (x->ended != NULL)
			x->ended(x->arg);
		mutex_lock(&x->mtx);
	}
	mutex_unlock(&x->mtx);
	return NULL;
}

struct audit_aside *
audit_aside_new(
    void (*job)(sqlite3 *db, const char *path, struct audit_done *done_r),
    void (*ended)(void *arg), void *arg)
{
	struct audit_aside *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->job = job;
	x->ended = ended;
	x->arg = arg;
	mutex_init(&x->mtx);
	(void)pthread_cond_init(&x->begin, NULL);
	(void)pthread_cond_init(&x->end, NULL);
	if (pthread_create(&x->thread, NULL, run, x) == 0)
		return x;
	mutex_destroy(&x->mtx);
	free(x);
	return NULL;
}

void
audit_aside_free(struct audit_aside *x)
{
	if (x == NULL)
		return;
	assert(x->db == NULL);
	mutex_lock(&x->mtx);
	x->stop = true;
	(void)pthread_cond_signal(&x->begin);
	mutex_unlock(&x->mtx);
	(void)pthread_join(x->thread, NULL);
	(void)pthread_cond_destroy(&x->begin);
	(void)pthread_cond_destroy(&x->end);
	mutex_destroy(&x->mtx);
	free(x);
}

bool
audit_aside_open(
    struct audit_aside *x, const char *path, const struct db_file *file)
{
	struct db_file now;
	struct err err;

	if (x == NULL)
		return false;
	assert(x->db == NULL && x->state == IDLE);
	x->path = path;
	if (db_open(path, DB_WRITE, BUSY_MS, sql_audit, SQL_AUDIT_STEPS, &x->db,
		&err) == -1)
		return false;
	if (db_file_note(x->db, path, &now, &err) == 0 &&
	    db_file_same(&now, file))
		return true;
	(void)sqlite3_close(x->db);
	x->db = NULL;
	return false;
}

bool
audit_aside_close(struct audit_aside *x, struct audit_done *done_r)
{
	if (x == NULL)
		return false;
	mutex_lock(&x->mtx);
	while (x->state == AT_WORK)
		mutex_wait(&x->mtx, &x->end);
	bool ended = x->state == ENDED;

	if (ended)
		*done_r = x->done;
	x->state = IDLE;
	mutex_unlock(&x->mtx);
	(void)sqlite3_close(x->db);
	x->db = NULL;
	return ended;
}

void
audit_aside_begin(struct audit_aside *x)
{
	mutex_lock(&x->mtx);
	assert(x->db != NULL && x->state == IDLE);
	x->state = AT_WORK;
	(void)pthread_cond_signal(&x->begin);
	mutex_unlock(&x->mtx);
}

bool
audit_aside_ended(struct audit_aside *x, int wait_ms, struct audit_done *done_r)
{
	struct timespec until;
	bool in_time = wait_ms > 0;

	clock_deadline(wait_ms, &until);
	mutex_lock(&x->mtx);
	while (x->state == AT_WORK && in_time)
		in_time = mutex_wait_until(&x->mtx, &x->end, &until);
	bool ended = x->state == ENDED;

	if (ended) {
		x->state = IDLE;
		*done_r = x->done;
	}
	mutex_unlock(&x->mtx);
	return ended;
}
