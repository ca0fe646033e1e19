/* SPDX-License-Identifier: ISC */
/* The limiter's subjects, and their counters, whose windows slide: one piece of
 * memory that is laid out once, in which subjects and marks have places by
 * their tags. */
#include "common/policy/limiter_inside.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "common/base/err.h"
#include "common/base/siphash.h"

/* Zero pages that cost nothing until they are touched: so never huge ones. */
static void *
zero_pages(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

/* The next so many elements of a size, at a cache line. */
static void *
lay(struct limiter *l, size_t n, size_t size)
{
	size_t at = l->memory_size;

	assert(n > 0 && size > 0);
	l->memory_size += (n * size + 63) / 64 * 64;
	return l->memory == NULL ? NULL : l->memory + at;
}

/* Each kind of all shards together: so what is small stays on few pages. */
static void
lay_out_all(struct limiter *l)
{
	l->memory_size = 0;
	for (int i = 0; i < SHARDS; i++)
		l->shard[i].sets = lay(l, l->n_sets, sizeof(struct set));
	for (int i = 0; i < SHARDS; i++)
		l->shard[i].buckets = lay(l, l->n_buckets, sizeof(uint16_t));
	for (int i = 0; i < SHARDS; i++)
		l->shard[i].subjects = lay(
		    l, l->n_sets * (WAYS + KINDS) + 1, sizeof(struct subject));
	for (int i = 0; i < SHARDS; i++)
		l->shard[i].groups =
		    lay(l, l->n_buckets + 1, sizeof(struct group));
}

static bool
lay_out(struct limiter *l)
{
	lay_out_all(l);
	l->memory = zero_pages(l->memory_size);
	if (l->memory == NULL)
		return false;
	lay_out_all(l);
	return true;
}

struct limiter *
limiter_new(const struct limit_rate rate[LIMITS], uint8_t ipv6_prefix,
    size_t subjects, struct err *err)
{
	struct limiter *l = aligned_alloc(64, sizeof(*l));

	if (l == NULL)
		goto nomem;
	memset(l, 0, sizeof(*l));
	l->ipv6_prefix = ipv6_prefix < 64 ? ipv6_prefix : 64;
	l->n_sets = 1;
	while (l->n_sets < SETS_MAX && l->n_sets * SHARDS * WAYS < subjects)
		l->n_sets *= 2;
	l->n_buckets = l->n_sets * 8 * MARKS_PER_SUBJECT / GROUP;
	assert((l->n_buckets & (l->n_buckets - 1)) == 0 &&
	    l->n_buckets <= UINT16_MAX);
	/* rounded up: 15 of them are a window */
	for (int i = 0; i < 2 * METRICS; i++) {
		assert(rate[i].window_s > 0);
		l->width_ms[i] =
		    (rate[i].window_s * 1000 + SLOTS - 2) / (SLOTS - 1);
	}
	for (int i = 0; i < SHARDS; i++)
		mutex_init(&l->shard[i].mtx);
	if (!lay_out(l))
		goto nomem;
	if (getrandom(l->key, sizeof(l->key), 0) != sizeof(l->key)) {
		err_set(err, ERR_IO, "getrandom: no random bits");
		limiter_free(l);
		return NULL;
	}
	return l;
nomem:
	err_nomem(err, "the table of limits",
	    l == NULL ? sizeof(*l) : sizeof(*l) + l->memory_size);
	limiter_free(l);
	return NULL;
}

void
limiter_free(struct limiter *l)
{
	if (l == NULL)
		return;
	for (int i = 0; i < SHARDS; i++) {
		free(l->shard[i].denied);
		mutex_destroy(&l->shard[i].mtx);
	}
	if (l->memory != NULL)
		(void)munmap(l->memory, l->memory_size);
	free(l);
}

/* --- names to numbers --- */

struct network
limiter_network(const struct limiter *l, const struct addr *client)
{
	return network_of(
	    client, client->family == ADDR_IPV6 ? l->ipv6_prefix : 32);
}

uint64_t
tag_of(const struct limiter *l, const void *data, size_t len)
{
	uint64_t tag = siphash(l->key, data, len);

	return tag == 0 ? 1 : tag;
}

uint64_t
limiter_client(const struct limiter *l, const struct addr *client)
{
	struct network net = limiter_network(l, client);
	unsigned char name[18] = { 'c', (unsigned char)net.base.family };

	memcpy(name + 2, net.base.bytes, addr_bits(&net.base) / 8);
	return tag_of(l, name, sizeof(name));
}

/* Alice and alice are one mailbox nearly everywhere: whoever varies the case
 * must not get a new count each time. Each chunk is hashed behind the hash of
 * what is before it. */
uint64_t
tag_of_text(const struct limiter *l, char kind, const char *text, size_t size)
{
	char chunk[sizeof(uint64_t) + 1 + FOLD_CHUNK];
	uint64_t tag = 0;

	do {
		size_t n = sizeof(tag), from = n + 1;

		memcpy(chunk, &tag, n);
		chunk[n++] = kind;
		for (; n < from + FOLD_CHUNK && size > 0; text++, size--)
			chunk[n++] =
			    (char)(*text >= 'A' && *text <= 'Z' ? *text + 32
								: *text);
		tag = tag_of(l, chunk, n);
	} while (size > 0);
	return tag;
}

uint64_t
limiter_user(const struct limiter *l, const char *user, bool by_login)
{
	return tag_of_text(l, by_login ? 'l' : 'u', user, strlen(user));
}

/* --- counters --- */

static void
counter_advance(struct counter *c, uint32_t slot)
{
	if (slot <= c->newest)
		return;
	if (slot - c->newest >= SLOTS)
		memset(c->slot, 0, sizeof(c->slot));
	else
		for (uint32_t i = c->newest + 1; i <= slot; i++)
			c->slot[i % SLOTS] = 0;
	c->newest = slot;
}

uint32_t
counter_sum(const struct counter *c)
{
	uint32_t sum = 0;

	for (int i = 0; i < SLOTS; i++)
		sum += c->slot[i];
	return sum;
}

void
counter_add_at(struct counter *c, uint32_t slot, uint32_t n)
{
	/* what others tell must not overflow a sum */
	const uint32_t most = UINT32_MAX / SLOTS / 2;
	uint32_t *to = &c->slot[slot % SLOTS];

	if (slot > c->newest || c->newest - slot >= SLOTS)
		return;
	if (*to < most)
		*to = n < most - *to ? *to + n : most;
}

void
subject_advance(const struct limiter *l, struct subject *s, int64_t now_s)
{
	assert(now_s >= 0 && s->kind < KINDS);
	for (int m = 0; m < METRICS; m++)
		counter_advance(
		    &s->metric[m], slot_of(l, limit_of(s, m), now_s));
}

/* --- subjects --- */

struct set *
set_of(struct limiter *l, uint64_t tag)
{
	return &home_of(l, tag)->sets[tag / SHARDS & (l->n_sets - 1)];
}

/* The bits of a tag that stand in a place: none that chose its set. */
static uint32_t
tag_bits(uint64_t tag)
{
	return (uint32_t)(tag >> 32) & ~((1U << PLACE_BITS) - 1);
}

static uint32_t
number_of(uint32_t place)
{
	return place & ((1U << PLACE_BITS) - 1);
}

struct subject *
subject_find(struct limiter *l, uint64_t tag)
{
	const struct set *set = set_of(l, tag);

	for (int i = 0; i < WAYS; i++) {
		uint32_t place = set->place[i];

		if (place == 0 || (place ^ tag_bits(tag)) >> PLACE_BITS != 0)
			continue;
		assert(number_of(place) <= home_of(l, tag)->n_subjects);
		struct subject *s =
		    &home_of(l, tag)->subjects[number_of(place)];

		if (s->tag == tag)
			return s;
	}
	return NULL;
}

/* Remember the largest count of each slot that was evicted. */
static void
ghost_take(const struct limiter *l, struct subject *ghost,
    const struct subject *s, int64_t now_s)
{
	/* nobody reserves of a ghost: a subject that starts with its counts
	 * has nothing pending */
	assert(ghost->pending[0] == 0 && ghost->pending[1] == 0);
	assert(ghost->tag == 0 && s->tag != 0);
	ghost->kind = s->kind;
	subject_advance(l, ghost, now_s);
	for (int m = 0; m < METRICS; m++)
		for (int i = 0; i < SLOTS; i++)
			if (s->metric[m].slot[i] > ghost->metric[m].slot[i])
				ghost->metric[m].slot[i] = s->metric[m].slot[i];
	/* its messages find it no more: what they reserved counts */
	for (int m = 0; m < METRICS; m++) {
		uint32_t at = s->metric[m].newest % SLOTS;
		uint32_t all = s->metric[m].slot[at] + s->pending[m];

		if (all > ghost->metric[m].slot[at])
			ghost->metric[m].slot[at] = all;
	}
	if (s->generation > ghost->generation)
		ghost->generation = s->generation;
}

/* The place for a new subject: a free one, or that of the subject that relayed
 * least. */
static uint32_t *
place_for(struct limiter *l, struct set *set, struct subject *of, int64_t now_s)
{
	uint32_t least = UINT32_MAX, *at = NULL;

	for (int i = 0; set->place[WAYS - 1] != 0 && i < WAYS; i++)
		fetch(&of[number_of(set->place[i])]);
	for (int i = 0; i < WAYS; i++) {
		struct subject *s = &of[number_of(set->place[i])];
		uint32_t weight = 0;

		if (set->place[i] == 0)
			return &set->place[i];
		subject_advance(l, s, now_s);
		for (int m = 0; m < METRICS; m++)
			weight += counter_sum(&s->metric[m]) + s->pending[m];
		if (at == NULL || weight < least) {
			least = weight;
			at = &set->place[i];
		}
	}
	assert(at != NULL);
	return at;
}

struct subject *
subject_get(struct limiter *l, uint64_t tag, enum kind kind, int64_t now_s)
{
	struct subject *s = subject_find(l, tag);
	struct shard *home = home_of(l, tag);
	struct set *set = set_of(l, tag);

	assert(tag != 0);
	if (s != NULL) {
		subject_advance(l, s, now_s);
		return s;
	}
	uint32_t *place = place_for(l, set, home->subjects, now_s);
	uint32_t number = number_of(*place);

	assert(kind < KINDS && number <= home->n_subjects);
	s = &home->subjects[number];
	if (number == 0) {
		number = ++home->n_subjects;
		s = &home->subjects[number];
	} else {
		if (set->ghost[s->kind] == 0)
			set->ghost[s->kind] = ++home->n_subjects;
		ghost_take(l, &home->subjects[set->ghost[s->kind]], s, now_s);
	}
	assert(home->n_subjects <= l->n_sets * (WAYS + KINDS));
	*s = home->subjects[set->ghost[kind]];
	s->tag = tag;
	s->kind = (uint8_t)kind;
	s->born = ++home->n_born;
	subject_advance(l, s, now_s);
	*place = tag_bits(tag) | number;
	return s;
}

/* --- marks: senders seen of a client, and credits --- */

struct name
name_in(struct limiter *l, uint64_t subject, uint64_t tag)
{
	struct shard *home = home_of(l, subject);

	return (struct name){ .tag = tag,
		.home = home,
		.bucket = &home->buckets[tag >> 1 & (l->n_buckets - 1)] };
}

static uint64_t
typed(uint64_t tag, bool credit)
{
	tag = (tag & ~UINT64_C(1)) | credit;
	return tag == 0 ? 2 : tag;
}

struct name
mark_name(struct limiter *l, char what, uint64_t subject, uint64_t value)
{
	uint64_t data[3] = { subject, value, (unsigned char)what };

	return name_in(
	    l, subject, typed(tag_of(l, data, sizeof(data)), what == 'p'));
}

/* When a subject is forgotten its generation changes, and its earlier marks are
 * no longer found. */
struct name
name_for(struct name name, const struct subject *s)
{
	bool credit = name.tag & 1;

	name.tag = typed(
	    name.tag ^ UINT64_C(0x9e3779b97f4a7c15) * s->generation, credit);
	return name;
}

struct mark *
mark_find(const struct name *name)
{
	struct mark *group = name->home->groups[*name->bucket].mark;

	assert(name->tag != 0 && *name->bucket <= name->home->n_groups);
	for (int i = 0; *name->bucket != 0 && i < GROUP; i++)
		if (group[i].tag == name->tag)
			return &group[i];
	return NULL;
}

struct mark *
mark_make(const struct name *name, int64_t now_s)
{
	if (*name->bucket == 0)
		*name->bucket = ++name->home->n_groups;
	struct mark *group = name->home->groups[*name->bucket].mark;
	struct mark *to = NULL;

	for (int i = 0; i < GROUP; i++) {
		struct mark *m = &group[i];

		if (m->tag == 0 ||
		    (is_credit(m) && now_s - m->seen_s > LIMITER_CREDIT_S)) {
			to = m;
			break;
		}
		if ((is_credit(m) || m->value.open == 0) &&
		    (to == NULL || m->seen_s < to->seen_s))
			to = m;
	}
	if (to != NULL)
		*to = (struct mark){ .tag = name->tag };
	return to;
}
