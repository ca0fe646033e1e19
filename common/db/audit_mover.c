/* SPDX-License-Identifier: ISC */
#include "common/db/audit_mover.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/guarded.h"
#include "common/db/audit_table.h"
#include "common/db/sql.h"

enum state { IDLE, MOVING, ENDED };
enum { BUSY_MS = 1000 };

struct audit_mover {
	pthread_t thread;
	struct mutex mtx;
	pthread_cond_t begin, end;
	/* guarded by mtx */
	enum state state;
	bool stop;
	/* the thread's while MOVING, else the writer's */
	sqlite3 *db; /* NULL: not open */
	const char *path;
	struct audit_moved moved;
};

/* The writer commits meanwhile: go on until little is left, or nothing moves
 * since a reader needs the rest. */
static void
move(struct audit_mover *m)
{
	int before, frames, moved = -1;
	struct err err;

	do {
		before = moved;
		if (sqlite3_wal_checkpoint_v2(m->db, NULL,
			SQLITE_CHECKPOINT_PASSIVE, &frames,
			&moved) != SQLITE_OK)
			moved = before;
	} while (moved > before && frames - moved > AUDIT_FEW_FRAMES);
	m->moved.frames = moved;
	m->moved.noted =
	    db_file_note(m->db, m->path, &m->moved.file, &err) == 0;
}

static void *
run(void *arg)
{
	struct audit_mover *m = arg;

	mutex_lock(&m->mtx);
	for (;;) {
		while (m->state != MOVING && !m->stop)
			mutex_wait(&m->mtx, &m->begin);
		if (m->stop)
			break;
		mutex_unlock(&m->mtx);
		move(m);
		mutex_lock(&m->mtx);
		m->state = ENDED;
		(void)pthread_cond_signal(&m->end);
	}
	mutex_unlock(&m->mtx);
	return NULL;
}

struct audit_mover *
audit_mover_new(void)
{
	struct audit_mover *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	mutex_init(&m->mtx);
	(void)pthread_cond_init(&m->begin, NULL);
	(void)pthread_cond_init(&m->end, NULL);
	if (pthread_create(&m->thread, NULL, run, m) == 0)
		return m;
	mutex_destroy(&m->mtx);
	free(m);
	return NULL;
}

void
audit_mover_free(struct audit_mover *m)
{
	if (m == NULL)
		return;
	assert(m->db == NULL);
	mutex_lock(&m->mtx);
	m->stop = true;
	(void)pthread_cond_signal(&m->begin);
	mutex_unlock(&m->mtx);
	(void)pthread_join(m->thread, NULL);
	(void)pthread_cond_destroy(&m->begin);
	(void)pthread_cond_destroy(&m->end);
	mutex_destroy(&m->mtx);
	free(m);
}

bool
audit_mover_open(
    struct audit_mover *m, const char *path, const struct db_file *file)
{
	struct db_file now;
	struct err err;

	assert(m->db == NULL && m->state == IDLE);
	m->path = path;
	if (db_open(path, DB_WRITE, BUSY_MS, sql_audit, SQL_AUDIT_STEPS, &m->db,
		&err) == -1)
		return false;
	if (db_file_note(m->db, path, &now, &err) == 0 &&
	    db_file_same(&now, file))
		return true;
	audit_mover_close(m);
	return false;
}

void
audit_mover_close(struct audit_mover *m)
{
	if (m == NULL)
		return;
	mutex_lock(&m->mtx);
	while (m->state == MOVING)
		mutex_wait(&m->mtx, &m->end);
	m->state = IDLE;
	mutex_unlock(&m->mtx);
	(void)sqlite3_close(m->db);
	m->db = NULL;
}

void
audit_mover_begin(struct audit_mover *m)
{
	mutex_lock(&m->mtx);
	assert(m->db != NULL && m->state == IDLE);
	m->state = MOVING;
	(void)pthread_cond_signal(&m->begin);
	mutex_unlock(&m->mtx);
}

bool
audit_mover_ended(
    struct audit_mover *m, int wait_ms, struct audit_moved *moved_r)
{
	struct timespec until;
	bool in_time = wait_ms > 0;

	clock_deadline(wait_ms, &until);
	mutex_lock(&m->mtx);
	while (m->state == MOVING && in_time)
		in_time = mutex_wait_until(&m->mtx, &m->end, &until);
	bool ended = m->state == ENDED;

	if (ended) {
		m->state = IDLE;
		*moved_r = m->moved;
	}
	mutex_unlock(&m->mtx);
	return ended;
}
