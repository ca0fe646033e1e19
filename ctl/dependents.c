/* SPDX-License-Identifier: ISC */
#include "ctl/dependents.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"
#include "common/base/fnv.h"
#include "common/db/audit.h"
#include "common/records/userlist.h"

/* A set of hashes of 64 bits: 0 is a free place. */
struct hashes {
	uint64_t *slot; /* owned */
	size_t size, n;
};

/* Texts of which each is kept once: many users have the same HELO. */
struct dependents_texts {
	char **slot; /* owned */
	size_t size, n;
};

/* Rows of one message are never further apart than a session lasts. */
enum { MESSAGE_MS = 3600 * 1000 };

struct gather {
	struct dependents *d;
	int64_t since_ms, now;
	bool details, no_memory;
	uint32_t *place; /* of users by name: index + 1, 0 is free */
	size_t places, room; /* sizes of place and of d->user */
	struct hashes clients; /* of users, with their addresses */
	/* Messages of the current MESSAGE_MS and of the one before. */
	struct hashes messages, before;
	int64_t messages_ms;
	int week; /* of the last row */
	int oldest_week;
};

/* --- sets --- */

static bool
hashes_grow(struct hashes *h)
{
	struct hashes more = { .size = h->size == 0 ? 1024 : h->size * 2 };

	if (h->n * 2 < h->size)
		return true;
	more.slot = calloc(more.size, sizeof(*more.slot));
	if (more.slot == NULL)
		return false;
	for (size_t i = 0; i < h->size; i++) {
		size_t at = (size_t)h->slot[i] & (more.size - 1);

		while (h->slot[i] != 0 && more.slot[at] != 0)
			at = (at + 1) & (more.size - 1);
		if (h->slot[i] != 0)
			more.slot[at] = h->slot[i];
	}
	more.n = h->n;
	free(h->slot);
	*h = more;
	return true;
}

static bool
hashes_has(const struct hashes *h, uint64_t hash)
{
	hash += hash == 0;
	if (h->size == 0)
		return false;
	size_t at = (size_t)hash & (h->size - 1);

	while (h->slot[at] != 0 && h->slot[at] != hash)
		at = (at + 1) & (h->size - 1);
	return h->slot[at] == hash;
}

/* Returns 1 when it is new, 0 when it was there, -1 when memory is short. */
static int
hashes_add(struct hashes *h, uint64_t hash)
{
	hash += hash == 0;
	if (hashes_has(h, hash))
		return 0;
	if (!hashes_grow(h))
		return -1;
	size_t at = (size_t)hash & (h->size - 1);

	while (h->slot[at] != 0)
		at = (at + 1) & (h->size - 1);
	h->slot[at] = hash;
	h->n++;
	assert(h->n * 2 <= h->size);
	return 1;
}

static uint64_t
hash_text(const char *text)
{
	return fnv_mix(fnv_add(FNV_START, text, strlen(text)));
}

static bool
texts_grow(struct dependents_texts *t)
{
	struct dependents_texts more = { .size =
					     t->size == 0 ? 256 : t->size * 2 };

	if (t->n * 2 < t->size)
		return true;
	more.slot = calloc(more.size, sizeof(*more.slot));
	if (more.slot == NULL)
		return false;
	for (size_t i = 0; i < t->size; i++) {
		if (t->slot[i] == NULL)
			continue;
		size_t at = (size_t)hash_text(t->slot[i]) & (more.size - 1);

		while (more.slot[at] != NULL)
			at = (at + 1) & (more.size - 1);
		more.slot[at] = t->slot[i];
	}
	more.n = t->n;
	free(t->slot);
	*t = more;
	return true;
}

/* The one copy of text; NULL when memory is short. */
static const char *
texts_keep(struct dependents_texts *t, const char *text)
{
	if (!texts_grow(t))
		return NULL;
	size_t at = (size_t)hash_text(text) & (t->size - 1);

	while (t->slot[at] != NULL && strcmp(t->slot[at], text) != 0)
		at = (at + 1) & (t->size - 1);
	if (t->slot[at] == NULL && (t->slot[at] = strdup(text)) != NULL)
		t->n++;
	return t->slot[at];
}

/* --- users --- */

/* The same for names that userlist_same() takes for one. */
static uint64_t
hash_user(const char *user)
{
	uint64_t hash = FNV_START;

	for (; *user != '\0'; user++) {
		char c = *user == ',' ? ';' : *user;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + ('a' - 'A'));
		hash = fnv_add(hash, &c, 1);
	}
	return fnv_mix(hash);
}

static bool
users_grow(struct gather *g)
{
	struct dependents *d = g->d;

	if (d->users == g->room) {
		size_t room = g->room == 0 ? 64 : g->room * 2;
		struct dependent *v =
		    reallocarray(d->user, room, sizeof(*d->user));

		if (v == NULL)
			return false;
		d->user = v;
		g->room = room;
	}
	if (d->users * 2 < g->places)
		return true;
	free(g->place);
	g->places = g->places == 0 ? 256 : g->places * 2;
	g->place = calloc(g->places, sizeof(*g->place));
	for (size_t i = 0; g->place != NULL && i < d->users; i++) {
		size_t at =
		    (size_t)hash_user(d->user[i].user) & (g->places - 1);

		while (g->place[at] != 0)
			at = (at + 1) & (g->places - 1);
		g->place[at] = (uint32_t)i + 1;
	}
	return g->place != NULL;
}

/* NULL when memory is short. */
static struct dependent *
find_user(struct gather *g, const char *name)
{
	struct dependents *d = g->d;

	if (!users_grow(g))
		return NULL;
	size_t at = (size_t)hash_user(name) & (g->places - 1);

	for (; g->place[at] != 0; at = (at + 1) & (g->places - 1))
		if (userlist_same(d->user[g->place[at] - 1].user, name))
			return &d->user[g->place[at] - 1];
	const char *kept = texts_keep(d->texts, name);

	if (kept == NULL || d->users == UINT32_MAX - 1)
		return NULL;
	struct dependent *u = &d->user[d->users++];

	*u = (struct dependent){ .user = kept };
	g->place[at] = (uint32_t)d->users;
	assert(d->users <= g->room && d->users * 2 <= g->places);
	return u;
}

/* --- weeks --- */

static int64_t
monday(int64_t at, int weeks_before)
{
	time_t t = (time_t)at;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return at;
	tm.tm_mday -= (tm.tm_wday + 6) % 7 + 7 * weeks_before;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return mktime(&tm);
}

/* While gathering all DEPENDENTS_WEEKS are there, the current one last. */
static void
begin_weeks(struct gather *g)
{
	for (int i = 0; i < DEPENDENTS_WEEKS; i++)
		g->d->week[i].begin = monday(g->now, DEPENDENTS_WEEKS - 1 - i);
	g->oldest_week = DEPENDENTS_WEEKS - 1;
}

/* The bit of the week, 0 when it is too long ago. Rows come about in order. */
static uint64_t
week_bit(struct gather *g, int64_t at)
{
	const struct dependents_week *week = g->d->week;

	if (at < week[0].begin)
		return 0;
	while (g->week > 0 && at < week[g->week].begin)
		g->week--;
	while (g->week + 1 < DEPENDENTS_WEEKS && at >= week[g->week + 1].begin)
		g->week++;
	if (g->week < g->oldest_week)
		g->oldest_week = g->week;
	assert(g->week >= 0 && g->week < DEPENDENTS_WEEKS);
	return UINT64_C(1) << g->week;
}

static void
count_week(struct dependents *d, int i)
{
	struct dependents_week *w = &d->week[i];
	int64_t end =
	    i + 1 < DEPENDENTS_WEEKS ? d->week[i + 1].begin : INT64_MAX;

	for (size_t u = 0; u < d->users; u++) {
		const struct dependent *who = &d->user[u];
		bool by_login = (who->login_weeks >> i & 1) != 0;

		w->by_login += by_login;
		w->never_auth += by_login &&
		    (who->auth_first_at == 0 || who->auth_first_at >= end);
		w->by_auth += (who->auth_weeks >> i & 1) != 0;
	}
}

/* Count, and drop the weeks before the record. */
static void
end_weeks(struct gather *g)
{
	struct dependents *d = g->d;

	d->weeks = d->users == 0 ? 0 : DEPENDENTS_WEEKS - g->oldest_week;
	assert(d->weeks >= 0 && d->weeks <= DEPENDENTS_WEEKS);
	for (int i = DEPENDENTS_WEEKS - d->weeks; i < DEPENDENTS_WEEKS; i++)
		count_week(d, i);
	memmove(d->week, d->week + DEPENDENTS_WEEKS - d->weeks,
	    (size_t)d->weeks * sizeof(d->week[0]));
}

/* --- devices and addresses --- */

/* Bring what was used now, v[i], to the front of what was used before. */
#define MOVE_TO_FRONT(v, i)                                        \
	do {                                                       \
		__typeof__(*(v)) used_ = (v)[i];                   \
		memmove((v) + 1, (v), (size_t)(i) * sizeof(*(v))); \
		(v)[0] = used_;                                    \
	} while (0)

static bool
add_device(struct gather *g, struct dependent *u, const struct audit_use *use)
{
	uint8_t i = 0;

	assert(u->n_devices <= DEPENDENT_KEPT);
	while (i < u->n_devices &&
	    (strcmp(u->device[i].helo, use->helo) != 0 ||
		strcmp(u->device[i].sender, use->sender) != 0))
		i++;
	if (i == u->n_devices) {
		const char *helo = texts_keep(g->d->texts, use->helo);
		const char *sender = texts_keep(g->d->texts, use->sender);

		if (u->n_devices < DEPENDENT_KEPT) {
			struct dependent_device *v = reallocarray(
			    u->device, u->n_devices + 1U, sizeof(*v));

			if (v == NULL)
				return false;
			u->device = v;
			u->n_devices++;
		} else {
			i--;
		}
		u->device[i] =
		    (struct dependent_device){ .helo = helo, .sender = sender };
		if (helo == NULL || sender == NULL) {
			u->n_devices--;
			return false;
		}
	}
	MOVE_TO_FRONT(u->device, i);
	u->device[0].recipients += (uint32_t)use->count;
	u->device[0].last_at = use->last_ms / 1000;
	return true;
}

static bool
add_address(struct dependent *u, const struct audit_use *use)
{
	struct addr client;
	uint8_t i = 0;

	assert(u->n_addresses <= DEPENDENT_KEPT);
	if (!addr_parse_loose(use->client, &client))
		return true;
	while (
	    i < u->n_addresses && !addr_equal(&u->address[i].client, &client))
		i++;
	if (i == u->n_addresses) {
		if (u->n_addresses < DEPENDENT_KEPT) {
			struct dependent_address *v = reallocarray(
			    u->address, u->n_addresses + 1U, sizeof(*v));

			if (v == NULL)
				return false;
			u->address = v;
			u->n_addresses++;
		} else {
			i--;
		}
		u->address[i] = (struct dependent_address){ .client = client };
	}
	MOVE_TO_FRONT(u->address, i);
	u->address[0].recipients += (uint32_t)use->count;
	u->address[0].last_at = use->last_ms / 1000;
	return true;
}

/* --- gathering --- */

/* Is the message a new one of this user's? -1: memory is short. */
static int
new_message(struct gather *g, size_t user, const struct audit_use *use)
{
	uint64_t hash = fnv_mix(use->message + user);

	if (use->message == 0)
		return 0;
	if (use->at_ms - g->messages_ms >= MESSAGE_MS) {
		free(g->before.slot);
		g->before = g->messages;
		g->messages = (struct hashes){ .slot = NULL };
		g->messages_ms = use->at_ms;
	}
	return hashes_has(&g->before, hash) ? 0
					    : hashes_add(&g->messages, hash);
}

static bool
add_counts(struct gather *g, struct dependent *u, const struct audit_use *use)
{
	size_t user = (size_t)(u - g->d->user);
	uint64_t address = hash_text(use->client) + user;

	if (use->last_ms < g->since_ms)
		return true;
	int new_one = new_message(g, user, use);
	int new_address = hashes_add(&g->clients, fnv_mix(address));

	if (new_one == -1 || new_address == -1)
		return false;
	u->recipients += (uint32_t)use->count;
	u->messages += (uint32_t)new_one;
	u->addresses += (uint32_t)new_address;
	return !g->details || (add_device(g, u, use) && add_address(u, use));
}

static void
note_time(int64_t at, int64_t *first, int64_t *last)
{
	if (*first == 0 || at < *first)
		*first = at;
	if (at > *last)
		*last = at;
}

static bool
add_login(struct gather *g, const struct audit_use *use)
{
	struct dependent *u;

	if (*use->login_user == '\0' || userlist_count(use->login_user) > 1) {
		if (use->last_ms >= g->since_ms)
			g->d->shared += use->count;
		return true;
	}
	u = find_user(g, use->login_user);
	if (u == NULL)
		return false;
	note_time(use->at_ms / 1000, &u->first_at, &u->last_at);
	note_time(use->last_ms / 1000, &u->first_at, &u->last_at);
	u->login_weeks |= week_bit(g, use->at_ms / 1000);
	return add_counts(g, u, use);
}

static bool
add_auth(struct gather *g, const struct audit_use *use)
{
	struct dependent *u = find_user(g, use->auth_user);

	if (u == NULL)
		return false;
	note_time(use->at_ms / 1000, &u->auth_first_at, &u->auth_at);
	note_time(use->last_ms / 1000, &u->auth_first_at, &u->auth_at);
	u->auth_weeks |= week_bit(g, use->at_ms / 1000);
	return true;
}

static bool
add_use(void *arg, const struct audit_use *use)
{
	struct gather *g = arg;

	g->no_memory = (use->by_login && !add_login(g, use)) ||
	    (*use->auth_user != '\0' && !add_auth(g, use));
	return !g->no_memory;
}

static int
by_recipients(const void *a, const void *b)
{
	const struct dependent *x = a, *y = b;

	if (x->recipients != y->recipients)
		return x->recipients < y->recipients ? 1 : -1;
	return strcmp(x->user, y->user);
}

static void
settle(struct gather *g)
{
	struct dependents *d = g->d;

	for (size_t i = 0; i < d->users; i++) {
		struct dependent *u = &d->user[i];

		if (u->auth_at == 0)
			u->state = DEPENDENT_DEPENDS;
		else if (u->last_at < g->now - DEPENDENT_MOVED_S &&
		    u->auth_at > u->last_at)
			u->state = DEPENDENT_MOVED;
		else
			u->state = DEPENDENT_BOTH;
	}
	end_weeks(g);
	if (d->users > 0)
		qsort(d->user, d->users, sizeof(*d->user), by_recipients);
}

int
dependents_gather(struct audit_reader *r, int64_t since, int64_t now,
    bool details, struct dependents **d_r, struct err *err)
{
	struct gather g = {
		.d = calloc(1, sizeof(*g.d)),
		.since_ms = since * 1000,
		.now = now,
		.details = details,
	};
	int ret = -1;

	assert(since <= now);
	*d_r = g.d;
	if (g.d == NULL ||
	    (g.d->texts = calloc(1, sizeof(*g.d->texts))) == NULL)
		goto nomem;
	begin_weeks(&g);
	ret = audit_each_use(r, details, add_use, &g, err);
	if (g.no_memory)
		goto nomem;
	if (ret == 0)
		settle(&g);
	goto out;
nomem:
	err_set(err, ERR_NOMEM, "out of memory");
	ret = -1;
out:
	free(g.place);
	free(g.clients.slot);
	free(g.messages.slot);
	free(g.before.slot);
	if (ret == -1)
		dependents_free(d_r);
	return ret;
}

void
dependents_free(struct dependents **d_p)
{
	struct dependents *d = *d_p;

	if (d == NULL)
		return;
	for (size_t i = 0; i < d->users; i++) {
		free(d->user[i].device);
		free(d->user[i].address);
	}
	for (size_t i = 0; d->texts != NULL && i < d->texts->size; i++)
		free(d->texts->slot[i]);
	if (d->texts != NULL)
		free(d->texts->slot);
	free(d->texts);
	free(d->user);
	free(d);
	*d_p = NULL;
}

const char *
dependent_state_name(enum dependent_state state)
{
	static const char *const names[] = {
		[DEPENDENT_DEPENDS] = "depends",
		[DEPENDENT_BOTH] = "both",
		[DEPENDENT_MOVED] = "moved",
	};

	assert(state < DEPENDENT_STATES);
	return names[state];
}
