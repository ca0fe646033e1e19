#include "limiter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "err.h"
#include "siphash.h"

enum {
	SLOTS = 16,
	WAYS = 7,
	METRICS = 3, /* recipients, messages, distinct */
	DISTINCT = 2,
	GROUP = 4, /* marks that share a cache line */
	MARKS_PER_SUBJECT = 4,
	SHARDS = 64,
	PLACE_BITS = 14, /* of a place: where its subject is in the shard */
	SETS_MAX = 1024, /* of a shard: WAYS + KINDS of each in PLACE_BITS */
	TEXT_FOLD_MAX = 320, /* what differs only behind it is one */
	DENIED_MAX = 1024 /* in a shard */
};

struct counter {
	uint32_t newest; /* number of the slot of its last change */
	uint32_t slot[SLOTS]; /* by number modulo SLOTS */
};

/* Clients and users live in the same sets. */
enum kind { CLIENT, USER, KINDS };

struct subject {
	uint64_t tag;
	struct counter metric[METRICS];
	uint8_t kind;
	uint8_t over; /* bit a metric: it was said */
	uint8_t generation; /* raised when it is forgotten */
};

/* Half a cache line. Subjects lie side by side in the order of their coming:
 * a table that is nearly empty touches little memory. */
struct set {
	/* number of the subject, and above it bits of its tag; 0: free */
	uint32_t place[WAYS];
	uint16_t ghost[KINDS]; /* the largest that were evicted; 0: none */
};

_Static_assert(SETS_MAX *(WAYS + KINDS) < 1 << PLACE_BITS, "places");
_Static_assert(LIMITER_SUBJECTS <= SETS_MAX * SHARDS * WAYS, "subjects");

/* That a subject has used a sender, or a client; or a credit. */
struct mark {
	uint64_t tag; /* 0: free */
	uint32_t seen_s;
	uint16_t recipients, messages; /* of a credit */
};

struct denial {
	uint64_t tag;
	int64_t until;
};

struct group {
	struct mark mark[GROUP];
};

struct shard {
	_Alignas(64) pthread_mutex_t mtx;
	struct set *sets;
	struct subject *subjects; /* number 0 is nobody's */
	uint16_t *buckets; /* numbers of groups; 0: none yet */
	struct group *groups; /* number 0 is nobody's */
	/* guarded by mtx, and so is what these point to */
	uint16_t n_subjects, n_groups;
	int64_t now_s;
	struct denial *denied; /* owned */
	size_t n_denied;
};

struct limiter {
	uint64_t key[2];
	uint8_t ipv6_prefix;
	int64_t width_ms[2 * METRICS]; /* of a slot */
	size_t n_sets, n_buckets; /* of a shard; powers of two */
	char *memory; /* owned */
	size_t memory_size;
	atomic_size_t n_denied;
	struct shard shard[SHARDS];
};

const char *
limit_name(enum limit limit)
{
	static const char *const names[LIMITS] = { [LIMIT_CLIENT_RECIPIENTS] =
						       "client_recipients",
		[LIMIT_CLIENT_MESSAGES] = "client_messages",
		[LIMIT_CLIENT_SENDERS] = "client_senders",
		[LIMIT_USER_RECIPIENTS] = "user_recipients",
		[LIMIT_USER_MESSAGES] = "user_messages",
		[LIMIT_USER_CLIENTS] = "user_clients",
		[LIMIT_MESSAGE_RECIPIENTS] = "message_recipients" };

	return names[limit];
}

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
	/* rounded up: 15 of them are a window */
	for (int i = 0; i < 2 * METRICS; i++)
		l->width_ms[i] =
		    (rate[i].window_s * 1000 + SLOTS - 2) / (SLOTS - 1);
	for (int i = 0; i < SHARDS; i++)
		(void)pthread_mutex_init(&l->shard[i].mtx, NULL);
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
		(void)pthread_mutex_destroy(&l->shard[i].mtx);
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

static uint64_t
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
 * must not get a new count each time. */
static uint64_t
tag_of_text(const struct limiter *l, char kind, const char *text)
{
	char name[TEXT_FOLD_MAX + 1];
	size_t len = 0;

	name[len++] = kind;
	for (; *text != '\0' && len < sizeof(name); text++)
		name[len++] =
		    (char)(*text >= 'A' && *text <= 'Z' ? *text + 32 : *text);
	return tag_of(l, name, len);
}

uint64_t
limiter_user(const struct limiter *l, const char *user)
{
	return tag_of_text(l, 'u', user);
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

static uint32_t
counter_sum(const struct counter *c)
{
	uint32_t sum = 0;

	for (int i = 0; i < SLOTS; i++)
		sum += c->slot[i];
	return sum;
}

static uint32_t
slot_of(const struct limiter *l, int limit, int64_t now_s)
{
	return (uint32_t)(now_s * 1000 / l->width_ms[limit]);
}

static int
limit_of(const struct subject *s, int metric)
{
	return s->kind * METRICS + metric;
}

static void
subject_advance(const struct limiter *l, struct subject *s, int64_t now_s)
{
	for (int m = 0; m < METRICS; m++)
		counter_advance(
		    &s->metric[m], slot_of(l, limit_of(s, m), now_s));
}

/* --- subjects --- */

static unsigned
shard_of(uint64_t tag)
{
	return tag % SHARDS;
}

static struct shard *
home_of(struct limiter *l, uint64_t tag)
{
	return &l->shard[shard_of(tag)];
}

static struct set *
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

static struct subject *
subject_find(struct limiter *l, uint64_t tag)
{
	const struct set *set = set_of(l, tag);

	for (int i = 0; i < WAYS; i++) {
		uint32_t place = set->place[i];

		if (place == 0 || (place ^ tag_bits(tag)) >> PLACE_BITS != 0)
			continue;
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
	ghost->kind = s->kind;
	subject_advance(l, ghost, now_s);
	for (int m = 0; m < METRICS; m++)
		for (int i = 0; i < SLOTS; i++)
			if (s->metric[m].slot[i] > ghost->metric[m].slot[i])
				ghost->metric[m].slot[i] = s->metric[m].slot[i];
	if (s->generation > ghost->generation)
		ghost->generation = s->generation;
}

static void
fetch(const struct subject *s)
{
	for (size_t i = 0; i < sizeof(*s); i += 64)
		__builtin_prefetch((const char *)s + i, 1);
}

/* Where a new one can go: a free place, or that of who relayed least. */
static uint32_t *
place_for(struct limiter *l, struct set *set, struct subject *of,
    const struct subject *keep, int64_t now_s)
{
	uint32_t least = UINT32_MAX, *at = NULL;

	for (int i = 0; set->place[WAYS - 1] != 0 && i < WAYS; i++)
		fetch(&of[number_of(set->place[i])]);
	for (int i = 0; i < WAYS; i++) {
		struct subject *s = &of[number_of(set->place[i])];
		uint32_t weight = 0;

		if (set->place[i] == 0)
			return &set->place[i];
		if (s == keep)
			continue;
		subject_advance(l, s, now_s);
		for (int m = 0; m < METRICS; m++)
			weight += counter_sum(&s->metric[m]);
		if (at == NULL || weight < least) {
			least = weight;
			at = &set->place[i];
		}
	}
	return at; /* there are more ways than one to keep */
}

/* Find or make; keep must stay where it is. */
static struct subject *
subject_get(struct limiter *l, uint64_t tag, enum kind kind,
    const struct subject *keep, int64_t now_s)
{
	struct subject *s = subject_find(l, tag);
	struct shard *home = home_of(l, tag);
	struct set *set = set_of(l, tag);

	if (s != NULL) {
		subject_advance(l, s, now_s);
		return s;
	}
	uint32_t *place = place_for(l, set, home->subjects, keep, now_s);
	uint32_t number = number_of(*place);

	s = &home->subjects[number];
	if (number == 0) {
		number = ++home->n_subjects;
		s = &home->subjects[number];
	} else {
		if (set->ghost[s->kind] == 0)
			set->ghost[s->kind] = ++home->n_subjects;
		ghost_take(l, &home->subjects[set->ghost[s->kind]], s, now_s);
	}
	*s = home->subjects[set->ghost[kind]];
	s->tag = tag;
	s->kind = (uint8_t)kind;
	subject_advance(l, s, now_s);
	*place = tag_bits(tag) | number;
	return s;
}

/* --- marks: who was seen with whom, and credits --- */

/* Where a mark is, and what it is called there. */
struct name {
	struct shard *home;
	uint16_t *bucket;
	uint64_t tag;
};

static struct name
mark_name(struct limiter *l, char what, uint64_t subject, uint64_t value)
{
	uint64_t data[3] = { subject, value, (unsigned char)what };
	uint64_t tag = tag_of(l, data, sizeof(data));
	struct shard *home = home_of(l, subject);

	return (struct name){ .tag = tag,
		.home = home,
		.bucket = &home->buckets[tag & (l->n_buckets - 1)] };
}

static struct mark *
mark_find(const struct name *name)
{
	struct mark *group = name->home->groups[*name->bucket].mark;

	for (int i = 0; *name->bucket != 0 && i < GROUP; i++)
		if (group[i].tag == name->tag)
			return &group[i];
	return NULL;
}

static struct mark *
mark_make(const struct name *name)
{
	if (*name->bucket == 0)
		*name->bucket = ++name->home->n_groups;
	struct mark *group = name->home->groups[*name->bucket].mark;
	struct mark *oldest = group;

	for (int i = 1; i < GROUP && oldest->tag != 0; i++)
		if (group[i].tag == 0 || group[i].seen_s < oldest->seen_s)
			oldest = &group[i];
	*oldest = (struct mark){ .tag = name->tag };
	return oldest;
}

/* --- one recipient --- */

/* A client or user while its recipient is looked at, its shard locked. */
struct party {
	uint64_t tag; /* 0: nobody */
	struct subject *s;
	bool has_value;
	struct name value; /* its sender, its client */
	struct mark *mark; /* it counts already, in this slot: */
	uint32_t slot;
};

struct taking {
	struct party party[KINDS];
	struct name credit_name;
	struct mark *credit; /* that still holds; NULL: none */
	int64_t now_s;
	bool add[METRICS];
};

/* Lock the shards of both, and let neither's time go back. */
static void
lock_both(struct limiter *l, uint64_t a, uint64_t b, int64_t *now_s)
{
	unsigned first = shard_of(a), second = shard_of(b);

	if (first > second) {
		first = shard_of(b);
		second = shard_of(a);
	}
	(void)pthread_mutex_lock(&l->shard[first].mtx);
	if (second != first)
		(void)pthread_mutex_lock(&l->shard[second].mtx);
	if (l->shard[first].now_s > *now_s)
		*now_s = l->shard[first].now_s;
	if (l->shard[second].now_s > *now_s)
		*now_s = l->shard[second].now_s;
	l->shard[first].now_s = l->shard[second].now_s = *now_s;
}

static void
unlock_both(struct limiter *l, uint64_t a, uint64_t b)
{
	(void)pthread_mutex_unlock(&l->shard[shard_of(a)].mtx);
	if (shard_of(a) != shard_of(b))
		(void)pthread_mutex_unlock(&l->shard[shard_of(b)].mtx);
}

/* Has the party used this value, and does it count? */
static void
find_mark(const struct limiter *l, struct party *p, int64_t now_s)
{
	int limit = limit_of(p->s, DISTINCT);
	const struct counter *c = &p->s->metric[DISTINCT];

	if (!p->has_value)
		return;
	/* marks of before it was forgotten are no longer found */
	p->value.tag ^= UINT64_C(0x9e3779b97f4a7c15) * p->s->generation;
	p->value.tag += p->value.tag == 0;
	p->mark = mark_find(&p->value);
	if (p->mark == NULL)
		return;
	p->slot = slot_of(l, limit, p->mark->seen_s);
	if (slot_of(l, limit, now_s) - p->slot >= SLOTS ||
	    c->slot[p->slot % SLOTS] == 0)
		p->mark = NULL;
}

static void
find_credit(struct taking *t)
{
	t->credit = mark_find(&t->credit_name);
	if (t->credit != NULL &&
	    t->now_s - t->credit->seen_s > LIMITER_CREDIT_S)
		t->credit->recipients = t->credit->messages = 0;
}

/* Which limit one more would break, or -1. *entered_r: it is news. */
static int
over_limit(struct party *p, const bool add[METRICS],
    const struct limit_rate rate[LIMITS], bool *entered_r)
{
	for (int m = 0; p->tag != 0 && m < METRICS; m++) {
		int limit = limit_of(p->s, m);
		int64_t max = rate[limit].max;
		uint8_t bit = (uint8_t)(1 << m);

		if (max == 0 || !add[m])
			continue;
		int64_t sum = counter_sum(&p->s->metric[m]);

		if (sum * 2 <= max)
			p->s->over &= (uint8_t)~bit;
		if (sum < max ||
		    (m == DISTINCT && (!p->has_value || p->mark != NULL)))
			continue;
		*entered_r = !(p->s->over & bit);
		p->s->over |= bit;
		return limit;
	}
	return -1;
}

static void
count_value(struct party *p, int64_t now_s)
{
	struct counter *c = &p->s->metric[DISTINCT];

	if (p->mark != NULL)
		c->slot[p->slot % SLOTS]--;
	else
		p->mark = mark_find(&p->value);
	if (p->mark == NULL)
		p->mark = mark_make(&p->value);
	p->mark->seen_s = (uint32_t)now_s;
	c->slot[c->newest % SLOTS]++;
}

static void
count(struct party *p, const struct taking *t)
{
	if (p->tag == 0)
		return;
	for (int m = 0; m < DISTINCT; m++) {
		struct counter *c = &p->s->metric[m];

		c->slot[c->newest % SLOTS] += t->add[m];
	}
	if (t->add[DISTINCT] && p->has_value)
		count_value(p, t->now_s);
}

static void
leave_credit(struct taking *t)
{
	/* again: making the marks of senders may have evicted it */
	find_credit(t);
	if (t->credit == NULL)
		t->credit = mark_make(&t->credit_name);
	if (t->credit->recipients < UINT16_MAX)
		t->credit->recipients++;
	if (t->add[1] && t->credit->messages < UINT16_MAX)
		t->credit->messages++;
	t->credit->seen_s = (uint32_t)t->now_s;
}

/* Who and what this is about, with nothing locked. Where it is may well be in
 * no cache: all of it is fetched at once instead of one after the other. */
static void
name_parties(
    struct limiter *l, struct taking *t, const struct limiter_event *ev)
{
	struct party *c = &t->party[CLIENT], *u = &t->party[USER];
	uint64_t client = limiter_client(l, &ev->client);

	if (!ev->free_client)
		c->tag = client;
	if (ev->user != NULL && *ev->user != '\0')
		u->tag = limiter_user(l, ev->user);
	c->has_value = c->tag != 0 && ev->sender != NULL;
	if (c->has_value)
		c->value =
		    mark_name(l, 's', c->tag, tag_of_text(l, 's', ev->sender));
	u->has_value = u->tag != 0;
	if (u->has_value)
		u->value = mark_name(l, 'c', u->tag, client);
	/* at home with the user, or without one with the client */
	t->credit_name = u->tag != 0 ? mark_name(l, 'p', u->tag, client)
				     : mark_name(l, 'p', client, 0);
	for (int k = 0; k < KINDS; k++) {
		if (t->party[k].tag != 0)
			__builtin_prefetch(set_of(l, t->party[k].tag));
		if (t->party[k].has_value)
			__builtin_prefetch(t->party[k].value.bucket);
	}
	__builtin_prefetch(t->credit_name.bucket);
}

static void
fetch_subject(struct limiter *l, uint64_t tag)
{
	const struct subject *s = tag == 0 ? NULL : subject_find(l, tag);

	if (s != NULL)
		fetch(s);
}

static void
fetch_group(const struct name *name)
{
	__builtin_prefetch(&name->home->groups[*name->bucket], 1);
}

/* With both locked. */
static void
find_parties(struct limiter *l, struct taking *t)
{
	struct party *c = &t->party[CLIENT], *u = &t->party[USER];

	if (c->has_value)
		fetch_group(&c->value);
	if (u->has_value)
		fetch_group(&u->value);
	fetch_group(&t->credit_name);
	fetch_subject(l, c->tag);
	fetch_subject(l, u->tag);
	if (c->tag != 0) {
		c->s = subject_get(l, c->tag, CLIENT, NULL, t->now_s);
		find_mark(l, c, t->now_s);
	}
	if (u->tag != 0) {
		u->s = subject_get(l, u->tag, USER, c->s, t->now_s);
		find_mark(l, u, t->now_s);
	}
	find_credit(t);
}

static void
take_locked(const struct limit_rate rate[LIMITS],
    const struct limiter_event *ev, struct taking *t,
    struct limiter_answer *answer)
{
	bool redeem = !ev->permit && t->credit != NULL;
	bool paid = redeem && t->credit->recipients > 0;
	bool first = ev->message != NULL && !ev->message->counted;
	bool message_paid = first && redeem && t->credit->messages > 0;

	t->add[0] = t->add[DISTINCT] = !paid;
	t->add[1] = first && !message_paid;
	for (int k = 0; rate != NULL && k < KINDS; k++) {
		int limit =
		    over_limit(&t->party[k], t->add, rate, &answer->entered);

		if (limit == -1)
			continue;
		answer->over = true;
		answer->limit = (enum limit)limit;
		return;
	}
	if (paid)
		t->credit->recipients--;
	if (message_paid)
		t->credit->messages--;
	for (int k = 0; k < KINDS; k++)
		count(&t->party[k], t);
	if (ev->permit)
		leave_credit(t);
}

/* Says no more than once a message. */
static bool
too_many(const struct limit_rate rate[LIMITS], struct limiter_message *m,
    struct limiter_answer *answer)
{
	if (rate == NULL || m == NULL ||
	    rate[LIMIT_MESSAGE_RECIPIENTS].max == 0 ||
	    m->recipients < rate[LIMIT_MESSAGE_RECIPIENTS].max)
		return false;
	answer->over = true;
	answer->limit = LIMIT_MESSAGE_RECIPIENTS;
	answer->entered = !m->said;
	m->said = true;
	return true;
}

void
limiter_take(struct limiter *l, const struct limit_rate rate[LIMITS],
    const struct limiter_event *ev, struct limiter_answer *answer)
{
	struct taking t = { .now_s = ev->now_s };

	*answer = (struct limiter_answer){ .over = false };
	if (too_many(rate, ev->message, answer))
		return;
	name_parties(l, &t, ev);
	uint64_t a = t.party[CLIENT].tag, b = t.party[USER].tag;

	a = a != 0 ? a : b;
	b = b != 0 ? b : a;
	if (a != 0) {
		lock_both(l, a, b, &t.now_s);
		find_parties(l, &t);
		take_locked(rate, ev, &t, answer);
		unlock_both(l, a, b);
	}
	if (ev->message != NULL && !answer->over) {
		ev->message->counted = true;
		ev->message->recipients++;
	}
}

static void
usage_of(struct limiter *l, uint64_t tag, int64_t now_s, int64_t used[LIMITS])
{
	lock_both(l, tag, tag, &now_s);
	struct subject *s = subject_find(l, tag);

	if (s != NULL) {
		subject_advance(l, s, now_s);
		for (int m = 0; m < METRICS; m++)
			used[limit_of(s, m)] = counter_sum(&s->metric[m]);
	}
	unlock_both(l, tag, tag);
}

void
limiter_usage(
    struct limiter *l, const struct limiter_event *ev, int64_t used[LIMITS])
{
	memset(used, 0, LIMITS * sizeof(*used));
	if (!ev->free_client)
		usage_of(l, limiter_client(l, &ev->client), ev->now_s, used);
	if (ev->user != NULL && *ev->user != '\0')
		usage_of(l, limiter_user(l, ev->user), ev->now_s, used);
}

/* --- who is kept out --- */

static struct denial *
denial_find(struct shard *shard, uint64_t tag)
{
	for (size_t i = 0; i < shard->n_denied; i++)
		if (shard->denied[i].tag == tag)
			return &shard->denied[i];
	return NULL;
}

/* The one that ends first. */
static struct denial *
denial_first(struct shard *shard)
{
	struct denial *first = shard->denied;

	for (size_t i = 1; i < shard->n_denied; i++)
		if (shard->denied[i].until < first->until)
			first = &shard->denied[i];
	return first;
}

/* Room for one more, with the shard locked: when there are too many the one
 * that ends first gives way. NULL when memory is short. */
static struct denial *
denial_make(struct limiter *l, struct shard *shard)
{
	size_t n = shard->n_denied;

	if (n == DENIED_MAX)
		return denial_first(shard);
	void *v = reallocarray(shard->denied, n + 1, sizeof(*shard->denied));

	if (v == NULL)
		return NULL;
	shard->denied = v;
	shard->n_denied++;
	atomic_fetch_add(&l->n_denied, 1);
	return &shard->denied[n];
}

static void
denial_drop(struct limiter *l, struct shard *shard, struct denial *d)
{
	*d = shard->denied[--shard->n_denied];
	atomic_fetch_sub(&l->n_denied, 1);
}

void
limiter_deny(struct limiter *l, uint64_t subject, int64_t until)
{
	struct shard *shard = &l->shard[shard_of(subject)];

	(void)pthread_mutex_lock(&shard->mtx);
	struct denial *d = denial_find(shard, subject);

	if (d != NULL && d->until < until)
		d->until = until;
	if (d == NULL && (d = denial_make(l, shard)) != NULL)
		*d = (struct denial){ .tag = subject, .until = until };
	(void)pthread_mutex_unlock(&shard->mtx);
}

bool
limiter_denies(struct limiter *l)
{
	return atomic_load_explicit(&l->n_denied, memory_order_acquire) > 0;
}

bool
limiter_denied(struct limiter *l, uint64_t subject, int64_t now)
{
	struct shard *shard = &l->shard[shard_of(subject)];

	if (!limiter_denies(l))
		return false;
	(void)pthread_mutex_lock(&shard->mtx);
	struct denial *d = denial_find(shard, subject);
	bool denied = d != NULL && d->until > now;

	if (d != NULL && !denied)
		denial_drop(l, shard, d);
	(void)pthread_mutex_unlock(&shard->mtx);
	return denied;
}

void
limiter_forget(struct limiter *l, uint64_t subject)
{
	struct shard *shard = &l->shard[shard_of(subject)];

	(void)pthread_mutex_lock(&shard->mtx);
	struct subject *s = subject_find(l, subject);
	struct denial *d = denial_find(shard, subject);

	if (s != NULL) {
		for (int m = 0; m < METRICS; m++)
			memset(s->metric[m].slot, 0, sizeof(s->metric[m].slot));
		s->over = 0;
		if (s->generation < UINT8_MAX)
			s->generation++;
	}
	if (d != NULL)
		denial_drop(l, shard, d);
	(void)pthread_mutex_unlock(&shard->mtx);
}
