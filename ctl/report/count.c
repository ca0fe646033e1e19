/* SPDX-License-Identifier: ISC */
#include "ctl/report/count.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/siphash.h"

enum { FIRST_SLOTS = 1024, CHUNK = 256 * 1024 };

/* Small, as most of a row's time is spent waiting for memory: half of the hash
 * tells nearly all names apart, and the record has all of it. */
struct count_slot {
	uint32_t tag;
	uint32_t number; /* of the record, from 1; 0: the slot is free */
};

struct count_chunk {
	struct count_chunk *next;
	char text[];
};

uint64_t
count_hash(const void *data, size_t len)
{
	static uint64_t key[2];
	static bool known;

	if (!known)
		known = getrandom(key, sizeof(key), 0) == sizeof(key);
	return siphash(key, data, len);
}

uint64_t
count_hash_again(struct count_memo *m, const void *data, size_t len)
{
	if (len == m->len && len > 0 && memcmp(data, m->data, len) == 0)
		return m->hash;
	m->hash = count_hash(data, len);
	m->len = len <= sizeof(m->data) ? len : 0;
	memcpy(m->data, data, m->len);
	return m->hash;
}

/* --- names --- */

static bool
grow_slots(struct count_names *t)
{
	size_t slots = t->slots == 0 ? FIRST_SLOTS : t->slots * 2;
	struct count_slot *slot;

	if (t->n * 2 < t->slots)
		return true;
	slot = calloc(slots, sizeof(*slot));
	if (slot == NULL)
		return false;
	for (size_t i = 0; i < t->slots; i++) {
		if (t->slot[i].number == 0)
			continue;
		size_t at =
		    (size_t)t->v[t->slot[i].number - 1].hash & (slots - 1);

		while (slot[at].number != 0)
			at = (at + 1) & (slots - 1);
		slot[at] = t->slot[i];
	}
	free(t->slot);
	t->slot = slot;
	t->slots = slots;
	return true;
}

static bool
grow_records(struct count_names *t)
{
	size_t room = t->room == 0 ? FIRST_SLOTS : t->room * 2;
	struct counted *v;

	if (t->n < t->room)
		return true;
	v = reallocarray(t->v, room, sizeof(*v));
	if (v == NULL)
		return false;
	t->v = v;
	t->room = room;
	return true;
}

static const char *
keep_text(struct count_names *t, const char *name, size_t len)
{
	char *text;

	assert(len < CHUNK);
	if (t->text_left <= len) {
		struct count_chunk *more = malloc(sizeof(*more) + CHUNK);

		if (more == NULL)
			return NULL;
		more->next = t->chunks;
		t->chunks = more;
		t->text = more->text;
		t->text_left = CHUNK;
	}
	text = t->text;
	memcpy(text, name, len);
	text[len] = '\0';
	t->text += len + 1;
	t->text_left -= len + 1;
	return text;
}

static struct counted *
new_name(struct count_names *t, const char *name, size_t len, uint64_t hash)
{
	struct counted *c;

	if (t->full || t->n == COUNT_NAMES_MAX || !grow_records(t))
		return NULL;
	assert(t->n < t->room);
	c = &t->v[t->n];
	*c = (struct counted){
		.name = keep_text(t, name, len),
		.hash = hash,
	};
	if (c->name == NULL)
		return NULL;
	t->n++;
	return c;
}

uint64_t
count_name_hash(struct count_names *t, const char *name, size_t len)
{
	uint64_t hash = count_hash_again(
	    &t->last, name, len < COUNT_NAME_LEN ? len : COUNT_NAME_LEN);

	if (t->slots > 0)
		__builtin_prefetch(&t->slot[hash & (t->slots - 1)]);
	return hash;
}

struct counted *
count_name(struct count_names *t, const char *name, size_t len, uint64_t hash)
{
	struct counted *c;

	len = len < COUNT_NAME_LEN ? len : COUNT_NAME_LEN;
	if (!grow_slots(t)) {
		t->full = true;
		return NULL;
	}
	assert(t->n * 2 < t->slots); /* a slot is free */
	uint32_t tag = (uint32_t)(hash >> 32);
	size_t at = (size_t)hash & (t->slots - 1);

	for (; t->slot[at].number != 0; at = (at + 1) & (t->slots - 1)) {
		c = &t->v[t->slot[at].number - 1];
		if (t->slot[at].tag == tag && c->hash == hash)
			return c;
	}
	c = new_name(t, name, len, hash);
	if (c == NULL)
		t->full = true;
	else
		t->slot[at] = (struct count_slot){ tag, (uint32_t)t->n };
	return c;
}

void
count_names_release(struct count_names *t)
{
	while (t->chunks != NULL) {
		struct count_chunk *next = t->chunks->next;

		free(t->chunks);
		t->chunks = next;
	}
	free(t->v);
	free(t->slot);
	*t = (struct count_names){ 0 };
}

/* --- pairs --- */

static bool
grow_pairs(struct count_pairs *t)
{
	size_t slots = t->slots == 0 ? FIRST_SLOTS : t->slots * 2;
	uint64_t *slot;

	if (t->n * 4 < t->slots * 3)
		return true;
	slot = calloc(slots, sizeof(*slot));
	if (slot == NULL)
		return false;
	for (size_t i = 0; i < t->slots; i++) {
		size_t at = (size_t)t->slot[i] & (slots - 1);

		if (t->slot[i] == 0)
			continue;
		while (slot[at] != 0)
			at = (at + 1) & (slots - 1);
		slot[at] = t->slot[i];
	}
	free(t->slot);
	t->slot = slot;
	t->slots = slots;
	return true;
}

bool
count_pair(struct count_pairs *t, uint64_t a, uint64_t b)
{
	const uint64_t both[2] = { a, b };
	uint64_t hash = count_hash(both, sizeof(both));

	hash += hash == 0;
	if (t->full || !grow_pairs(t)) {
		t->full = true;
		return false;
	}
	assert(t->n < t->slots); /* a slot is free */
	size_t at = (size_t)hash & (t->slots - 1);

	for (; t->slot[at] != 0; at = (at + 1) & (t->slots - 1))
		if (t->slot[at] == hash)
			return false;
	if (t->n == COUNT_PAIRS_MAX) {
		t->full = true;
		return false;
	}
	t->slot[at] = hash;
	t->n++;
	return true;
}

void
count_pairs_release(struct count_pairs *t)
{
	free(t->slot);
	*t = (struct count_pairs){ 0 };
}
