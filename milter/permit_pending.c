/* SPDX-License-Identifier: ISC */
#include "milter/permit_pending.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/base/siphash.h"

/* Lost rows are remembered for longer than any SMTP session lasts. */
enum { BUCKETS = 4096, TRIES = 8, LOST_MS = 7 * 86400 * 1000, GIVEN_UP = 64 };

static struct {
	struct permit_pending *bucket[BUCKETS];
	struct permit_pending *oldest, *newest; /* by their last recipient */
	unsigned n;
	int64_t since_ms; /* Unix time from which on nothing was forgotten */
	enum audit_state (*state)(uint64_t first, uint64_t last);
} owed;

/* The newest that were given up. What is forgotten only waits for the disk. */
static struct mutex given_up_mtx = MUTEX_INITIALIZER;
static char
    given_up[GIVEN_UP][PERMIT_PENDING_NAME_MAX] GUARDED_BY(given_up_mtx);
static unsigned given_up_next GUARDED_BY(given_up_mtx);

void permit_pending_init(
    enum audit_state (*state)(uint64_t first, uint64_t last))
{
	assert(state != NULL);
	owed.state = state;
	owed.since_ms = clock_now_ms();
}

/* Instances are Postfix's own, not a client's choice: no secret key. */
static struct permit_pending **
bucket_of(const char *name)
{
	static const uint64_t key[2] = { 1, 2 };

	return &owed.bucket[siphash(key, name, strlen(name)) % BUCKETS];
}

struct permit_pending *
permit_pending_find(const char *name)
{
	struct permit_pending *m = *bucket_of(name);

	while (m != NULL && strcmp(m->name, name) != 0)
		m = m->same_bucket;
	return m;
}

static void
unlink_age(struct permit_pending *m)
{
	*(m->older != NULL ? &m->older->newer : &owed.oldest) = m->newer;
	*(m->newer != NULL ? &m->newer->older : &owed.newest) = m->older;
}

static void
link_newest(struct permit_pending *m)
{
	m->older = owed.newest;
	m->newer = NULL;
	*(owed.newest != NULL ? &owed.newest->newer : &owed.oldest) = m;
	owed.newest = m;
}

static void
forget(struct permit_pending *m)
{
	struct permit_pending **to = bucket_of(m->name);

	assert(owed.n > 0);
	while (*to != m)
		to = &(*to)->same_bucket;
	*to = m->same_bucket;
	unlink_age(m);
	free(m);
	owed.n--;
	owed.since_ms = clock_now_ms();
}

/* Make room: one of the oldest whose rows are on disk, of which nobody needs
 * to know any more. A lost one is kept, but doesn't stand in the way. */
static bool
forget_one(int64_t now_ms)
{
	for (int i = 0; i < TRIES && owed.oldest != NULL; i++) {
		struct permit_pending *m = owed.oldest;
		enum audit_state state = owed.state(m->first, m->last);

		if (state == AUDIT_DURABLE || m->last == 0 ||
		    (state == AUDIT_LOST && now_ms - m->used_ms > LOST_MS)) {
			forget(m);
			return true;
		}
		if (state != AUDIT_LOST)
			return false;
		unlink_age(m);
		link_newest(m);
	}
	return false;
}

struct permit_pending *
permit_pending_get(const char *name, int64_t now_ms)
{
	struct permit_pending *m = permit_pending_find(name);

	if (m == NULL) {
		if (*name == '\0' || strlen(name) >= PERMIT_PENDING_NAME_MAX ||
		    (owed.n >= PERMIT_PENDING_MAX && !forget_one(now_ms)) ||
		    (m = calloc(1, sizeof(*m))) == NULL)
			return NULL;
		(void)snprintf(m->name, sizeof(m->name), "%s", name);
		m->same_bucket = *bucket_of(name);
		*bucket_of(name) = m;
		owed.n++;
	} else {
		unlink_age(m);
	}
	link_newest(m);
	m->used_ms = now_ms;
	return m;
}

void
permit_pending_add(
    struct permit_pending *m, uint64_t ticket, const char *recipient)
{
	assert(ticket != 0);
	/* Tickets between ours are other messages': once ours are durable, the
	 * range begins again. */
	if (m->first == 0 || owed.state(m->first, m->last) == AUDIT_DURABLE)
		m->first = ticket;
	m->last = ticket;
	handoff_audited_add(&m->recipients, recipient);
}

int64_t
permit_pending_began_ms(const char *name)
{
	unsigned long s, us;
	unsigned pid, number;
	int used = -1;

	if (strlen(name) >= PERMIT_PENDING_NAME_MAX ||
	    sscanf(name, "%8x.%12lx.%6lx.%8x%n", &pid, &s, &us, &number,
		&used) != 4 ||
	    name[used] != '\0')
		return INT64_MAX;
	return (int64_t)s * 1000 + (int64_t)us / 1000;
}

bool
permit_pending_would_know(int64_t at_ms)
{
	return at_ms >= owed.since_ms;
}

void
permit_pending_give_up(const char *name)
{
	mutex_lock(&given_up_mtx);
	(void)snprintf(
	    given_up[given_up_next], PERMIT_PENDING_NAME_MAX, "%s", name);
	given_up_next = (given_up_next + 1) % GIVEN_UP;
	mutex_unlock(&given_up_mtx);
}

bool
permit_pending_given_up(const char *name)
{
	bool found = false;

	mutex_lock(&given_up_mtx);
	for (unsigned i = 0; !found && i < GIVEN_UP; i++) {
		found = *name != '\0' && strcmp(given_up[i], name) == 0;
		if (found)
			given_up[i][0] = '\0';
	}
	mutex_unlock(&given_up_mtx);
	return found;
}

void
permit_pending_free(void)
{
	struct permit_pending *newer;

	for (struct permit_pending *m = owed.oldest; m != NULL; m = newer) {
		newer = m->newer;
		free(m);
	}
	memset(owed.bucket, 0, sizeof(owed.bucket));
	owed.oldest = owed.newest = NULL;
	owed.n = 0;
}
