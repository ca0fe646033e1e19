/* SPDX-License-Identifier: ISC */
#include "common/db/audit.h"

#include <assert.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/guarded.h"
#include "common/base/metrics.h"
#include "common/db/audit_extra.h"
#include "common/db/audit_row.h"
#include "common/db/audit_table.h"
#include "common/db/audit_ticket.h"

enum {
	/* Rows that nobody waits for: a few go to disk soon, many are worth
	 * waiting for more, since each page of an index is then written once
	 * for all of them. */
	LINGER_MS = 50,
	FEW_ROWS = 256,
	LINGER_MANY_MS = 1000,
	GROUP_ROWS = 32768,
	PIECE_MS = 1,
	IDLE_MS = 1000,
	UPGRADE_MS = 50, /* the same while there are rows to be paired */
	/* A message keeps at most so many rows back, whatever the queue
	 * holds. */
	BATCH_MAX = 1024,
	BREACHES_MAX = 1000
};

/* A thread in audit_wait(). */
struct waiter {
	uint64_t ticket;
	pthread_cond_t cond;
	struct waiter *next, **to; /* to: the pointer to this one */
};

struct audit {
	struct audit_options opt;
	char *path;
	struct audit_table table; /* the writer's */
	pthread_t thread;
	struct mutex mtx;
	pthread_cond_t work, room; /* room: in the queue */
	/* guarded by mtx, but for what is the writer's alone */
	struct audit_row *head, **tail;
	size_t queued;
	struct audit_tickets tickets;
	bool urgent; /* somebody waits for a commit */
	bool sync; /* for more than that: for the disk */
	bool stop, healthy;
	bool lingering; /* the writer looks by itself, soon */
	struct waiter *waiters; /* owned by who waits */
	uint64_t rows, transactions, syncs, lost;
	int64_t bytes; /* in use, when the writer last looked */
	int64_t whole_since_ms; /* see audit_whole_since() */
	uint64_t lost_unsaid;
	struct audit_extra extra; /* for the next transaction */
	struct histogram commits; /* counted by the writer */
	int64_t lost_said_at; /* the writer's */
};

/* One transaction in the making. */
struct group {
	bool open;
	bool good;
	bool probe; /* the one before it failed */
	bool unsynced; /* committed, but the disk didn't take it */
	bool sync; /* commit to the disk */
	bool ending; /* begun when the end had come */
	size_t n; /* rows of it, inserted or lost */
	uint64_t first, ticket; /* of them */
	int64_t began_ms;
	struct audit_extra extra; /* of it */
	struct audit_row *rows; /* of it */
	struct audit_row *unsaid; /* committed before; not on disk yet */
	struct err err;
};

static void
fail_group(struct audit *a, struct group *g)
{
	g->good = false;
	audit_table_rollback(&a->table);
}

/* The file is gone: all tickets older than before are lost, also those that
 * were called written. */
static void
lose_all(struct audit *a, uint64_t before)
{
	assert(before > 0);
	mutex_lock(&a->mtx);
	tickets_lose(&a->tickets, 1, before - 1);
	a->whole_since_ms = a->table.whole_since_ms;
	mutex_unlock(&a->mtx);
}

static void
say_gone(struct audit *a, const struct err *err)
{
	char text[ERR_TEXT_MAX + 20];

	(void)snprintf(text, sizeof(text), "audit: %s", err->text);
	a->opt.log_state(false, text);
}

static void
begin_group(struct audit *a, struct group *g)
{
	assert(!g->open);
	assert(g->rows == NULL);
	g->open = g->good = true;
	g->unsynced = false;
	g->n = 0;
	g->began_ms = clock_monotonic_ms();
	if (!audit_table_good(&a->table, &g->err)) {
		say_gone(a, &g->err);
		lose_all(a, g->first);
		audit_row_say(&a->opt, &g->unsaid, true);
	}
	if (audit_table_begin(&a->table, g->probe, &g->err) == -1)
		fail_group(a, g);
}

static void
insert_rows(struct audit *a, struct group *g, struct audit_row *list)
{
	assert(g->open);
	assert(list == NULL || list->n > 0);
	for (struct audit_row *r = list; r != NULL; r = r->next) {
		g->n++;
		list->last = r; /* of all chains that were taken */
		if (g->good && audit_table_insert(&a->table, r, &g->err) == -1)
			fail_group(a, g);
	}
	g->rows = audit_row_chain(g->rows, list);
}

/* The group has ended. Threads that wait for the disk have their answer
 * already: they don't wait for the log. */
static void
log_group(const struct audit *a, struct group *g)
{
	if (!g->good) {
		if (g->unsynced)
			audit_row_say(&a->opt, &g->unsaid, true);
		audit_row_say(&a->opt, &g->rows, true);
		return;
	}
	g->unsaid = audit_row_chain(g->unsaid, g->rows);
	g->rows = NULL;
	if (g->sync)
		audit_row_say(&a->opt, &g->unsaid, false);
}

/* Is it time to write what the group has? */
static bool
group_due(const struct audit *a, const struct group *g) REQUIRES(a->mtx)
{
	int64_t age_ms = clock_monotonic_ms() - g->began_ms;

	return a->urgent || a->stop || !g->good || a->queued >= GROUP_ROWS ||
	    a->queued * 2 >= (uint64_t)a->opt.queue ||
	    age_ms >= (g->n > FEW_ROWS ? LINGER_MANY_MS : LINGER_MS);
}

/* Wait for rows, or for the time to commit those of the open group. Rows are
 * inserted in small pieces as they come: done all at once, a second's worth
 * would keep a processor from the sessions for a tenth of it.
 * Returns false when the end has come and nothing is left. */
static bool
take_piece(
    struct audit *a, struct group *g, struct audit_row **list, bool *commit)
{
	struct timespec until;
	bool counted = false;

	mutex_lock(&a->mtx);
	clock_deadline(g->open            ? PIECE_MS
		: a->table.old.up_to != 0 ? UPGRADE_MS
					  : IDLE_MS,
	    &until);
	a->lingering = g->open;
	while (!a->stop && !a->urgent && (a->lingering || a->head == NULL))
		if (!mutex_wait_until(&a->mtx, &a->work, &until) ||
		    (g->open && group_due(a, g)))
			break;
	a->lingering = false;
	if (!g->open) {
		g->first = a->tickets.taken + 1;
		g->began_ms = clock_monotonic_ms();
		g->good = true;
		g->n = 0;
	}
	assert(a->tickets.taken <= a->tickets.submitted);
	counted |= a->tickets.taken != a->tickets.submitted;
	*list = a->head;
	a->head = NULL;
	a->tail = &a->head;
	g->ticket = a->tickets.taken = a->tickets.submitted;
	/* An idle round commits as well: it prunes, writes tallies, and probes
	 * whether writing works again. */
	*commit = *list == NULL && !g->open ? true : group_due(a, g);
	if (*commit) {
		/* Rows that nobody waits for are on disk after a second, too.
		 */
		g->sync = a->sync || a->stop ||
		    (g->ticket > a->tickets.durable &&
			clock_monotonic_ms() - a->table.synced_ms >= IDLE_MS);
		a->urgent = a->sync = false;
		g->extra = audit_extra_take(&a->extra);
		counted |= audit_extra_any(&g->extra);
	}
	/* at the end what can't be written is tried once more, not for ever */
	bool tried = g->ending && g->probe;

	g->ending = a->stop;
	bool more = *list != NULL || g->open || (counted && !tried) || !a->stop;

	mutex_unlock(&a->mtx);
	return more;
}

static bool
is_settled(enum audit_state state)
{
	return state == AUDIT_DURABLE || state == AUDIT_LOST;
}

static void
settle(struct audit *a, struct group *g)
{
	mutex_lock(&a->mtx);
	if (!g->good)
		audit_extra_give_back(&a->extra, &g->extra);
	assert(a->queued >= g->n);
	assert(a->tickets.written <= g->ticket);
	assert(a->tickets.durable <= a->tickets.written);
	a->queued -= g->n;
	a->tickets.written = g->ticket;
	if (g->good) {
		a->rows += g->n;
		a->transactions += g->n > 0;
		a->syncs += g->sync;
		if (g->sync)
			a->tickets.durable = g->ticket;
	} else {
		a->lost += g->n;
		a->lost_unsaid += g->n;
		/* A disk that fails loses what was written before, too. */
		tickets_lose(
		    &a->tickets, g->unsynced ? 1 : g->first, g->ticket);
	}
	a->healthy = g->good;
	a->bytes = a->table.bytes;
	a->whole_since_ms = a->table.whole_since_ms;
	(void)pthread_cond_broadcast(&a->room);
	/* Wake only those that have their answer: under load half of the
	 * waiters wait for the next group. */
	for (struct waiter *w = a->waiters; w != NULL; w = w->next)
		if (is_settled(
			tickets_state(&a->tickets, w->ticket, w->ticket)))
			(void)pthread_cond_signal(&w->cond);
	mutex_unlock(&a->mtx);
	if (a->opt.committed != NULL)
		a->opt.committed(a->opt.committed_arg);
}

/* Say what is lost: at once, then at most every ten seconds. */
static void
say_state(struct audit *a, bool good, bool was_good, const struct err *err)
{
	int64_t now = clock_now();
	char text[ERR_TEXT_MAX + 100];

	mutex_lock(&a->mtx);
	uint64_t lost = a->lost_unsaid;
	bool quiet = good == was_good &&
	    ((good && lost == 0) || now - a->lost_said_at < 10);

	if (!quiet)
		a->lost_unsaid = 0;
	mutex_unlock(&a->mtx);
	if (quiet)
		return;
	a->lost_said_at = now;
	if (good)
		(void)snprintf(text, sizeof(text),
		    "audit: %s; %" PRIu64 " rows were lost",
		    was_good ? "the queue was full" : "writing again", lost);
	else
		(void)snprintf(text, sizeof(text),
		    "audit: %s; %" PRIu64
		    " rows lost; relays get a temporary failure",
		    err->text, lost);
	a->opt.log_state(good, text);
}

/* Wake those who need their rows written, before the disk has them. */
static void
settle_written(struct audit *a, const struct group *g)
{
	mutex_lock(&a->mtx);
	a->tickets.written = g->ticket;
	mutex_unlock(&a->mtx);
	if (a->opt.committed != NULL)
		a->opt.committed(a->opt.committed_arg);
}

static int
commit(struct audit *a, struct group *g)
{
	int64_t began_ns = clock_monotonic_ns();
	int rc = audit_table_commit(&a->table, &g->err);

	if (rc == 0 && g->sync) {
		settle_written(a, g);
		rc = audit_table_sync(&a->table, &g->err);
		g->unsynced = rc == -1;
	}

	histogram_count(&a->commits, clock_monotonic_ns() - began_ns);
	return rc;
}

static void
end_group(struct audit *a, struct group *g)
{
	bool was_good = !g->probe;

	assert(g->open);
	if (g->good &&
	    (audit_table_count(
		 &a->table, g->extra.tallies, g->probe, &g->err) == -1 ||
		audit_table_breaches(&a->table, g->extra.breaches, &g->err) ==
		    -1 ||
		audit_table_prune(&a->table, (int64_t)g->n, &g->err) == -1 ||
		audit_table_pair_old(&a->table, &g->err) == -1 ||
		commit(a, g) == -1))
		fail_group(a, g);
	settle(a, g);
	breaches_free(g->extra.breaches);
	g->extra.breaches = NULL;
	say_state(a, g->good, was_good, &g->err);
	g->open = false;
	g->probe = !g->good;
	audit_table_checkpoint(&a->table);
}

static void *
writer(void *arg)
{
	struct group g = { .open = false };
	struct audit *a = arg;
	struct audit_row *list;
	bool commit, busy = false;

	while (take_piece(a, &g, &list, &commit)) {
		/* what sessions and rows of a busy time have left free */
		if (list == NULL && !g.open && busy)
			(void)malloc_trim(0);
		busy = list != NULL || g.open;
		if (!g.open)
			begin_group(a, &g);
		insert_rows(a, &g, list);
		if (commit || !g.good) {
			end_group(a, &g);
			log_group(a, &g);
		}
	}
	audit_row_say(&a->opt, &g.unsaid, false);
	breaches_free(g.extra.breaches);
	return NULL;
}

static void
audit_free(struct audit *a)
{
	breaches_free(a->extra.breaches);
	audit_table_release(&a->table);
	free(a->path);
	free(a);
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
	bool memory =
	    audit_table_init(&a->table, &a->opt, a->path) && a->path != NULL;

	if (!memory)
		err_set(err, ERR_NOMEM, "out of memory");
	if (!memory || audit_table_open(&a->table, err) == -1) {
		audit_free(a);
		return -1;
	}
	a->whole_since_ms = a->table.whole_since_ms;
	mutex_init(&a->mtx);
	(void)pthread_cond_init(&a->work, NULL);
	(void)pthread_cond_init(&a->room, NULL);
	int rc = pthread_create(&a->thread, NULL, writer, a);

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
	(void)pthread_cond_destroy(&a->work);
	(void)pthread_cond_destroy(&a->room);
	mutex_destroy(&a->mtx);
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
	bool wake =
	    (a->head == NULL && !a->lingering) || (urgent && !a->urgent);

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
	return submit(a, list, urgent, urgent, 0);
}

uint64_t
audit_submit_wait(
    struct audit *a, struct audit_row *list, bool urgent, int timeout_ms)
{
	return submit(a, list, urgent, urgent, timeout_ms);
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
	if (!a->urgent)
		(void)pthread_cond_signal(&a->work);
	a->urgent = a->sync = true;
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
	if (!is_settled(tickets_state(&a->tickets, ticket, ticket)))
		want_sync(a);
	while (
	    !is_settled(tickets_state(&a->tickets, ticket, ticket)) && in_time)
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
