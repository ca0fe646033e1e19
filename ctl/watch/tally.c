/* SPDX-License-Identifier: ISC */
/* tally - what the decisions of the window come to, in all and by client and
 * user. Pure. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fnv.h"
#include "ctl/watch/model.h"

const char *
watch_fate_name(enum watch_fate fate)
{
	static const char *const names[] = {
		[WATCH_RELAYED] = "relayed",
		[WATCH_REFUSED] = "refused",
		[WATCH_PUT_OFF] = "put off",
		[WATCH_ABORTED] = "aborted",
		[WATCH_MONITORED] = "monitored",
	};

	assert(fate < WATCH_FATES);
	return names[fate];
}

const char *
watch_user(const struct watch_event *e)
{
	return *e->auth_user != '\0' ? e->auth_user : e->login_users;
}

/* --- the filter --- */

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool
has(const char *text, const char *word, size_t len)
{
	for (; *text != '\0'; text++) {
		size_t i = 0;

		while (i < len && lower(text[i]) == lower(word[i]))
			i++;
		if (i == len)
			return true;
	}
	return false;
}

static bool
event_has(const struct watch_event *e, const char *word, size_t len)
{
	const char *const texts[] = { e->client, e->auth_user, e->login_users,
		e->sender, e->recipient, e->reason, watch_fate_name(e->fate) };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (has(texts[i], word, len))
			return true;
	return false;
}

bool
watch_match(const struct watch_event *e, const char *filter)
{
	for (;;) {
		filter += strspn(filter, " ");
		size_t len = strcspn(filter, " ");

		if (len == 0)
			return true;
		if (!event_has(e, filter, len))
			return false;
		filter += len;
	}
}

/* --- by client and user --- */

struct sums {
	struct watch_top *slot; /* name NULL: free */
	uint64_t *sender; /* hashes of subject and sender; 0: free */
	size_t size; /* of both, a power of two */
};

static uint64_t
hash_of(bool is_user, const char *name)
{
	uint64_t hash = fnv_add(FNV_START, is_user ? "u" : "c", 1);

	return fnv_mix(fnv_add(hash, name, strlen(name)));
}

/* Is this sender a new one of the subject? */
static bool
new_sender(struct sums *s, uint64_t subject, const char *sender)
{
	uint64_t hash = fnv_mix(fnv_add(subject, sender, strlen(sender)));
	size_t at = (size_t)hash & (s->size - 1);

	hash += hash == 0;
	while (s->sender[at] != 0 && s->sender[at] != hash)
		at = (at + 1) & (s->size - 1);
	if (s->sender[at] == hash)
		return false;
	s->sender[at] = hash;
	return true;
}

static void
add(struct sums *s, const struct watch_event *e, bool is_user, const char *name)
{
	uint64_t hash = hash_of(is_user, name);
	size_t at = (size_t)hash & (s->size - 1);

	while (s->slot[at].name != NULL &&
	    (s->slot[at].is_user != is_user ||
		strcmp(s->slot[at].name, name) != 0))
		at = (at + 1) & (s->size - 1);
	struct watch_top *top = &s->slot[at];

	top->is_user = is_user;
	top->name = name;
	top->recipients[e->fate] += e->count;
	/* a map that is asked for the client is told neither */
	if (*e->recipient != '\0')
		top->senders += new_sender(s, hash, e->sender);
	if (e->last_ms > top->last_ms)
		top->last_ms = e->last_ms;
}

static int
by_recipients(const void *a, const void *b)
{
	const struct watch_top *x = a, *y = b;

	for (int i = 0; i < WATCH_FATES; i++)
		if (x->recipients[i] != y->recipients[i])
			return x->recipients[i] < y->recipients[i] ? 1 : -1;
	if (x->is_user != y->is_user)
		return x->is_user ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void
take_tops(struct sums *s, struct watch_tally *t)
{
	size_t n = 0;

	for (size_t i = 0; i < s->size; i++)
		if (s->slot[i].name != NULL)
			s->slot[n++] = s->slot[i];
	if (n > 0)
		qsort(s->slot, n, sizeof(s->slot[0]), by_recipients);
	t->tops = n < WATCH_TOP ? n : WATCH_TOP;
	memcpy(t->top, s->slot, t->tops * sizeof(t->top[0]));
}

bool
watch_sum_up(
    const struct watch_model *m, const char *filter, struct watch_tally *t)
{
	int64_t since_ms = (m->now - WATCH_WINDOW_S) * 1000;
	struct sums s = { .size = 256 };

	/* a client and a user each, and no more than half full */
	while (s.size < m->n * 4)
		s.size *= 2;
	*t = (struct watch_tally){ .since_ms = m->now * 1000 };
	s.slot = calloc(s.size, sizeof(s.slot[0]));
	s.sender = calloc(s.size, sizeof(s.sender[0]));
	bool good = s.slot != NULL && s.sender != NULL;

	for (size_t i = 0; good && i < m->n; i++) {
		const struct watch_event *e = &m->event[i];

		if (e->count == 0 || e->last_ms < since_ms ||
		    !watch_match(e, filter))
			continue;
		t->recipients[e->fate] += e->count;
		if (e->at_ms < t->since_ms)
			t->since_ms = e->at_ms;
		add(&s, e, false, e->client);
		if (*watch_user(e) != '\0')
			add(&s, e, true, watch_user(e));
	}
	if (good)
		take_tops(&s, t);
	free(s.slot);
	free(s.sender);
	return good;
}
