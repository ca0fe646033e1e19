/* SPDX-License-Identifier: ISC */
/* The thread that writes the audit's rows: it inserts them as they come,
 * commits them in groups, and has them brought to the disk. */
#include <assert.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/audit_inside.h"
#include "common/db/audit_row.h"

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
	UPGRADE_MS = 50 /* the same while there are rows to be paired */
};

/* One transaction in the making. */
struct group {
	bool open;
	bool good;
	bool probe; /* the one before it failed */
	bool unsynced; /* committed, but the disk didn't take it */
	bool sync; /* bring it to the disk */
	bool aside; /* by the next flight, while others are committed */
	bool ending; /* begun when the end had come */
	size_t n; /* rows of it, inserted or lost */
	uint64_t first, ticket; /* of them */
	int64_t began_ms;
	struct audit_extra extra; /* of it */
	struct audit_row *rows; /* of it */
	struct audit_row *unsaid; /* committed before; not on disk yet */
	/* What is on its way to the disk while others are committed. */
	struct {
		uint64_t ticket; /* the newest of it */
		uint64_t behind; /* rows committed since it began */
		int64_t began_ns; /* the commit before it */
		struct audit_row *rows; /* to be said when it has landed */
		struct err err; /* when failed */
	} flight;
	bool unsure; /* how the last one ended: don't begin another */
	bool failed; /* it is known: the disk didn't take it */
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

/* What flew isn't known to have landed. */
static void
ground(struct group *g)
{
	g->unsaid = audit_row_chain(g->flight.rows, g->unsaid);
	g->flight.rows = NULL;
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
		ground(g);
		g->unsure = g->failed = false; /* that was of another file */
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
	if (g->sync && !g->aside)
		audit_row_say(&a->opt, &g->unsaid, false);
}

/* What waits for the disk has to wait for the flight's end first. */
static bool
is_awaited(const struct audit *a) REQUIRES(a->mtx)
{
	return a->urgent || (a->sync && !a->flying);
}

/* Is it time to write what the group has? */
static bool
group_due(const struct audit *a, const struct group *g) REQUIRES(a->mtx)
{
	int64_t age_ms = clock_monotonic_ms() - g->began_ms;

	return is_awaited(a) || a->stop || !g->good ||
	    a->queued >= GROUP_ROWS ||
	    a->queued * 2 >= (uint64_t)a->opt.queue ||
	    age_ms >= (g->n > FEW_ROWS ? LINGER_MANY_MS : LINGER_MS);
}

/* Wake only those that have their answer: under load half of the waiters wait
 * for the next group. */
static void
wake_settled(struct audit *a) REQUIRES(a->mtx)
{
	for (struct waiter *w = a->waiters; w != NULL; w = w->next)
		if (tickets_settled(&a->tickets, w->ticket))
			(void)pthread_cond_signal(&w->cond);
}

static void
tell_committed(const struct audit *a)
{
	if (a->opt.committed != NULL)
		a->opt.committed(a->opt.committed_arg);
}

/* Begin to bring to the disk what is committed. */
static void
depart(struct audit *a, struct group *g)
{
	assert(g->flight.rows == NULL && !a->flying);
	g->flight.rows = g->unsaid;
	g->flight.behind = 0;
	g->unsaid = NULL;
	mutex_lock(&a->mtx);
	g->flight.ticket = a->tickets.written;
	a->flying = true;
	mutex_unlock(&a->mtx);
	audit_table_sync_begin(&a->table);
}

/* Look for up to wait_ms whether the flight has come to its end. */
static void
land(struct audit *a, struct group *g, int wait_ms)
{
	enum audit_synced synced =
	    audit_table_sync_ended(&a->table, wait_ms, &g->flight.err);

	if (!a->flying || synced == AUDIT_SYNC_PENDING)
		return;
	histogram_count(&a->commits, clock_monotonic_ns() - g->flight.began_ns);
	g->unsure = synced != AUDIT_SYNC_DONE;
	g->failed = synced == AUDIT_SYNC_FAILED;
	mutex_lock(&a->mtx);
	a->flying = false;
	if (g->unsure) {
		a->sync = true;
	} else {
		a->tickets.durable = g->flight.ticket;
		a->syncs++;
		wake_settled(a);
	}
	mutex_unlock(&a->mtx);
	if (g->unsure) {
		ground(g);
		return;
	}
	tell_committed(a);
	audit_row_say(&a->opt, &g->flight.rows, false);
}

static void
end_flight(struct audit *a, struct group *g)
{
	while (a->flying)
		land(a, g, IDLE_MS);
}

/* Until there is something to do, or the time has come. */
static void
wait_for_work(struct audit *a, struct group *g) REQUIRES(a->mtx)
{
	struct timespec until;
	bool in_time = true;

	clock_deadline(g->open            ? PIECE_MS
		: a->table.old.up_to != 0 ? UPGRADE_MS
					  : IDLE_MS,
	    &until);
	a->lingering = g->open;
	for (;;) {
		if (a->landed) {
			a->landed = false;
			mutex_unlock(&a->mtx);
			land(a, g, 0);
			mutex_lock(&a->mtx);
		}
		if (a->stop || is_awaited(a) || !in_time ||
		    (!a->lingering && a->head != NULL))
			break;
		in_time = mutex_wait_until(&a->mtx, &a->work, &until) &&
		    !(g->open && group_due(a, g));
	}
	a->lingering = false;
}

/* Wait for rows, or for the time to commit those of the open group. Rows are
 * inserted in small pieces as they come: done all at once, a second's worth
 * would keep a processor from the sessions for a tenth of it.
 * Returns false when the end has come and nothing is left. */
static bool
take_piece(
    struct audit *a, struct group *g, struct audit_row **list, bool *commit)
{
	bool counted = false;

	mutex_lock(&a->mtx);
	wait_for_work(a, g);
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
		g->sync = a->stop ||
		    (!a->flying &&
			(a->sync ||
			    (g->ticket > a->tickets.durable &&
				clock_monotonic_ms() - a->table.synced_ms >=
				    IDLE_MS)));
		a->sync &= !g->sync;
		a->urgent = false;
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
	g->flight.behind += g->n;
	a->tickets.written = g->ticket;
	if (g->good) {
		a->rows += g->n;
		a->transactions += g->n > 0;
		a->syncs += g->sync && !g->aside;
		if (g->sync && !g->aside)
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
	wake_settled(a);
	mutex_unlock(&a->mtx);
	tell_committed(a);
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
	tell_committed(a);
}

static int
commit(struct audit *a, struct group *g)
{
	int64_t began_ns = clock_monotonic_ns();
	int rc = audit_table_commit(&a->table, &g->err);

	if (rc == 0 && g->sync && !g->aside) {
		settle_written(a, g);
		end_flight(a, g);
		/* it is not asked twice: some systems tell an error once */
		if (g->failed) {
			g->err = g->flight.err;
			rc = -1;
		} else {
			rc = audit_table_sync(&a->table, &g->err);
		}
		g->unsynced = rc == -1;
		g->unsure = g->failed = false;
	}

	if (g->aside)
		g->flight.began_ns = began_ns;
	else
		histogram_count(&a->commits, clock_monotonic_ns() - began_ns);
	return rc;
}

static void
end_group(struct audit *a, struct group *g)
{
	bool was_good = !g->probe;

	assert(g->open);
	g->aside = g->sync && !g->ending && !g->unsure &&
	    audit_table_syncable(&a->table);
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
	g->extra = (struct audit_extra){ .breaches = NULL };
	say_state(a, g->good, was_good, &g->err);
	g->open = false;
	g->probe = !g->good;
	audit_table_checkpoint(&a->table);
}

/* No group follows that would tell how the last flight ended. */
static void
end_last_flight(struct audit *a, struct group *g)
{
	end_flight(a, g);
	/* and no sync follows what was committed since it began */
	g->unsure |= a->tickets.durable < a->tickets.written;
	bool lost = g->failed ||
	    (g->unsure &&
		(a->table.db == NULL ||
		    audit_table_sync(&a->table, &g->err) == -1));

	mutex_lock(&a->mtx);
	if (lost)
		tickets_lose(&a->tickets, 1, a->tickets.written);
	else if (g->unsure)
		a->tickets.durable = a->tickets.written;
	wake_settled(a);
	mutex_unlock(&a->mtx);
	audit_row_say(&a->opt, &g->unsaid, lost);
}

void *
audit_writer(void *arg)
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
			if (g.good && g.aside)
				depart(a, &g);
			/* Rows are kept until the disk has them. When it hangs
			 * the queue is to fill, so that a relay is refused
			 * before its message is taken. */
			if (g.flight.behind >= (uint64_t)a->opt.queue)
				end_flight(a, &g);
		}
	}
	end_last_flight(a, &g);
	breaches_free(g.extra.breaches);
	return NULL;
}
