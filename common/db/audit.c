/* SPDX-License-Identifier: ISC */
#include "common/db/audit.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/guarded.h"
#include "common/db/audit_inside.h"
#include "common/db/audit_row.h"

enum {
	/* A message keeps at most so many rows back, whatever the queue
	 * holds. */
	BATCH_MAX = 1024,
	BREACHES_MAX = 1000
};

static void
audit_free(struct audit *a)
{
	breaches_free(a->extra.breaches);
	/* first: it ends threads that may call landed() */
	audit_table_release(&a->table);
	(void)pthread_cond_destroy(&a->work);
	(void)pthread_cond_destroy(&a->room);
	mutex_destroy(&a->mtx);
	free(a->path);
	free(a);
}

/* The disk has what was committed, or failed. */
static void
landed(void *arg)
{
	struct audit *a = arg;

	mutex_lock(&a->mtx);
	a->landed = true;
	(void)pthread_cond_signal(&a->work);
	mutex_unlock(&a->mtx);
}

int
audit_start(
    const struct audit_options *options, struct audit **a_r, struct err *err)
{
	struct audit *a = calloc(1, sizeof(*a));

	assert(options->queue > 0 && options->log_line != NULL &&
	    options->log_state != NULL);
	*a_r = NULL;
	if (a == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	a->opt = *options;
	a->opt.path = NULL;
	a->path = strdup(options->path); /* a reload may free theirs */
	a->tail = &a->head;
	a->healthy = true;
	mutex_init(&a->mtx);
	(void)pthread_cond_init(&a->work, NULL);
	(void)pthread_cond_init(&a->room, NULL);
	bool memory =
	    audit_table_init(&a->table, &a->opt, a->path, landed, a) &&
	    a->path != NULL;

	if (!memory)
		err_set(err, ERR_NOMEM, "out of memory");
	if (!memory || audit_table_open(&a->table, err) == -1) {
		audit_free(a);
		return -1;
	}
	a->whole_since_ms = a->table.whole_since_ms;
	int rc = pthread_create(&a->thread, NULL, audit_writer, a);

	if (rc != 0) {
		err_set(err, ERR_IO, "thread: %s", strerror(rc));
		audit_table_close(&a->table);
		audit_free(a);
		return -1;
	}
	*a_r = a;
	return 0;
}

void
audit_drain(struct audit *a)
{
	mutex_lock(&a->mtx);
	bool joined = a->stop;

	a->stop = true;
	(void)pthread_cond_signal(&a->work);
	mutex_unlock(&a->mtx);
	if (joined)
		return;
	(void)pthread_join(a->thread, NULL);
	audit_table_close(&a->table);
}

void
audit_stop(struct audit **ap)
{
	struct audit *a = *ap;

	if (a == NULL)
		return;
	audit_drain(a);
	assert(a->head == NULL && a->queued == 0);
	audit_free(a);
	*ap = NULL;
}

/* Take the chain if there is room. Returns its ticket, or 0. */
static uint64_t
enqueue(struct audit *a, struct audit_row *list, bool urgent, bool sync)
    REQUIRES(a->mtx)
{
	bool room = a->queued + list->n <= (uint64_t)a->opt.queue;

	/* ROW_GIVING_UP and later kinds concern rows that have room already:
	 * they are always let in. */
	if (a->stop || (!room && list->kind < ROW_GIVING_UP))
		return 0;
	struct audit_row *last = list->last;

	assert(list->n > 0 && last->next == NULL);
	assert(*a->tail == NULL && (a->head == NULL) == (a->tail == &a->head));
	/* what waits for the disk can't have it before the flight has ended */
	bool wake = (a->head == NULL && !a->lingering) ||
	    (urgent && !a->urgent) || (sync && !a->sync && !a->flying);

	a->queued += list->n;
	*a->tail = list;
	a->tail = &last->next;
	a->urgent |= urgent;
	a->sync |= sync;
	if (wake)
		(void)pthread_cond_signal(&a->work);
	return ++a->tickets.submitted;
}

/* Wait for room for n rows. */
static void
wait_for_room(struct audit *a, size_t n, int timeout_ms) REQUIRES(a->mtx)
{
	struct timespec until;
	bool in_time = true;

	clock_deadline(timeout_ms, &until);
	while (!a->stop && a->queued + n > (uint64_t)a->opt.queue &&
	    n <= (uint64_t)a->opt.queue && in_time) {
		a->urgent = true;
		(void)pthread_cond_signal(&a->work);
		in_time = mutex_wait_until(&a->mtx, &a->room, &until);
	}
}

static uint64_t
submit(struct audit *a, struct audit_row *list, bool urgent, bool sync,
    int timeout_ms)
{
	if (list == NULL)
		return 0;
	mutex_lock(&a->mtx);
	if (timeout_ms > 0)
		wait_for_room(a, list->n, timeout_ms);
	uint64_t ticket = enqueue(a, list, urgent, sync);

	if (ticket == 0) {
		a->lost += list->n;
		a->lost_unsaid += list->n;
	}
	mutex_unlock(&a->mtx);
	if (ticket == 0)
		audit_row_free(list);
	return ticket;
}

uint64_t
audit_submit(struct audit *a, struct audit_row *list, bool urgent)
{
	return submit(a, list, false, urgent, 0);
}

uint64_t
audit_submit_wait(
    struct audit *a, struct audit_row *list, bool urgent, int timeout_ms)
{
	return submit(a, list, false, urgent, timeout_ms);
}

uint64_t
audit_submit_written(struct audit *a, struct audit_row *list)
{
	return submit(a, list, true, false, 0);
}

/* Somebody waits for the disk. */
static void
want_sync(struct audit *a) REQUIRES(a->mtx)
{
	if (!a->sync && !a->flying)
		(void)pthread_cond_signal(&a->work);
	a->sync = true;
}

uint64_t
audit_sync(struct audit *a)
{
	uint64_t ticket = 0;

	mutex_lock(&a->mtx);
	if (!a->stop) {
		ticket = ++a->tickets.submitted;
		want_sync(a);
	}
	mutex_unlock(&a->mtx);
	return ticket;
}

enum audit_state
audit_state_range(struct audit *a, uint64_t first, uint64_t last)
{
	mutex_lock(&a->mtx);
	enum audit_state state = tickets_state(&a->tickets, first, last);

	mutex_unlock(&a->mtx);
	return state;
}

enum audit_state
audit_state(struct audit *a, uint64_t ticket)
{
	return audit_state_range(a, ticket, ticket);
}

bool
audit_wait(struct audit *a, uint64_t ticket, int timeout_ms)
{
	struct waiter w = { .ticket = ticket,
		.cond = PTHREAD_COND_INITIALIZER };
	struct timespec until;
	bool in_time = true;

	clock_deadline(timeout_ms, &until);
	mutex_lock(&a->mtx);
	w.next = a->waiters;
	w.to = &a->waiters;
	if (w.next != NULL)
		w.next->to = &w.next;
	/* cppcheck-suppress autoVariables; it is taken out below */
	a->waiters = &w;
	if (!tickets_settled(&a->tickets, ticket))
		want_sync(a);
	while (!tickets_settled(&a->tickets, ticket) && in_time)
		in_time = mutex_wait_until(&a->mtx, &w.cond, &until);
	bool durable =
	    tickets_state(&a->tickets, ticket, ticket) == AUDIT_DURABLE;

	*w.to = w.next;
	if (w.next != NULL)
		w.next->to = w.to;
	mutex_unlock(&a->mtx);
	(void)pthread_cond_destroy(&w.cond);
	return durable;
}

size_t
audit_batch(const struct audit *a)
{
	int64_t n = a->opt.queue / 4;

	return n < 1 ? 1 : n > BATCH_MAX ? BATCH_MAX : (size_t)n;
}

int64_t
audit_whole_since(struct audit *a)
{
	mutex_lock(&a->mtx);
	int64_t since_ms = a->whole_since_ms;

	mutex_unlock(&a->mtx);
	return since_ms;
}

bool
audit_healthy(struct audit *a)
{
	mutex_lock(&a->mtx);
	bool healthy = a->healthy && a->queued < (uint64_t)a->opt.queue;

	mutex_unlock(&a->mtx);
	return healthy;
}

void
audit_count_local(
    struct audit *a, enum audit_channel channel, enum reason reason)
{
	assert(channel <= CHANNEL_SOCKETMAP && reason < REASONS);
	mutex_lock(&a->mtx);
	a->extra.tallies[channel][reason]++;
	mutex_unlock(&a->mtx);
}

void
audit_breach(struct audit *a, const struct audit_breach *breach)
{
	struct breach *new = breach_new(breach);

	if (new == NULL)
		return;
	mutex_lock(&a->mtx);
	bool room = !a->stop && a->extra.n_breaches < BREACHES_MAX;

	if (room) {
		audit_extra_add(&a->extra, new);
		a->urgent = true;
		(void)pthread_cond_signal(&a->work);
	}
	mutex_unlock(&a->mtx);
	if (!room)
		free(new);
}

void
audit_stats(struct audit *a, struct audit_stats *stats)
{
	mutex_lock(&a->mtx);
	*stats = (struct audit_stats){ .rows = a->rows,
		.transactions = a->transactions,
		.syncs = a->syncs,
		.lost = a->lost,
		.queued = a->queued,
		.limit = (uint64_t)a->opt.queue,
		.bytes = a->bytes,
		.max_size = a->opt.max_size,
		.healthy = a->healthy && a->queued < (uint64_t)a->opt.queue };
	mutex_unlock(&a->mtx);
}

const struct histogram *
audit_commits(const struct audit *a)
{
	return &a->commits;
}
