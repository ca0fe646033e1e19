/* SPDX-License-Identifier: ISC */
#include "common/policy/limiter.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "common/base/err.h"
#include "common/base/guarded.h"
#include "common/base/siphash.h"
#include "common/mta/address.h"

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
	FOLD_CHUNK = 256, /* bytes of a text that are hashed at once */
	PARTIES = 1 + USERLIST_USERS, /* that a recipient is charged to */
	HOLDS_MAX = 64, /* of a message; what is beyond counts at once */
	CREDIT_STEP_S = 15, /* credits of so long end together */
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
	uint32_t pending[METRICS]; /* reserved by open messages */
	/* recipients freed by messages that were given up, since then */
	uint32_t freed, freed_since_s;
	/* Tells this subject from others that have had its place: reservations
	 * of one that was driven out don't weigh on the next. */
	uint32_t born;
	uint8_t kind;
	uint8_t over; /* bit a metric: it was said; and, SAID_FIRM bits
		       * higher, without what is only reserved */
	uint8_t generation; /* raised when it is forgotten */
};

enum { SAID_FIRM = METRICS };

/* Half a cache line. Subjects lie side by side in the order of their coming:
 * a table that is nearly empty touches little memory. */
struct set {
	/* number of the subject, and above it bits of its tag; 0: free */
	uint32_t place[WAYS];
	uint16_t ghost[KINDS]; /* the largest that were evicted; 0: none */
};

_Static_assert(SETS_MAX *(WAYS + KINDS) < 1 << PLACE_BITS, "places");
_Static_assert(LIMITER_SUBJECTS <= SETS_MAX * SHARDS * WAYS, "subjects");

/* Says that a subject has used a sender or a client. When the lowest bit of the
 * tag is set, the mark is a credit instead. */
struct mark {
	uint64_t tag; /* 0: free */
	uint32_t seen_s;
	union {
		struct {
			uint16_t recipients, messages;
		} credit;
		struct {
			/* Open messages that use it: as long as there are any
			 * it is one of what is reserved, and not driven out;
			 * then it counts at seen_s (0: it never did). */
			uint16_t open;
			/* Only the permit channel has used it, and so often
			 * that the milter has not claimed: when it has claimed
			 * all, the value isn't used. 0: it is. */
			uint16_t unclaimed;
		} value;
	};
};

struct denial {
	uint64_t tag;
	int64_t until;
};

struct group {
	struct mark mark[GROUP];
};

struct shard {
	_Alignas(64) struct mutex mtx;
	struct set *sets;
	struct subject *subjects; /* number 0 is nobody's */
	uint16_t *buckets; /* numbers of groups; 0: none yet */
	struct group *groups; /* number 0 is nobody's */
	/* guarded by mtx, as is what the pointers above lead to */
	uint16_t n_subjects, n_groups;
	uint32_t n_born;
	int64_t now_s;
	int64_t credits_until_s; /* there are none that hold longer */
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

	assert(limit < LIMITS);
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
 * must not get a new count each time. Each chunk is hashed behind the hash of
 * what is before it. */
static uint64_t
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
	/* nobody reserves of a ghost: who starts with it has nothing pending */
	assert(ghost->pending[0] == 0 && ghost->pending[1] == 0);
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

static void
fetch(const struct subject *s)
{
	for (size_t i = 0; i < sizeof(*s); i += 64)
		__builtin_prefetch((const char *)s + i, 1);
}

/* Where a new one can go: a free place, or that of who relayed least. */
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
	return at;
}

/* Find or make: what an earlier call gave may be driven out. */
static struct subject *
subject_get(struct limiter *l, uint64_t tag, enum kind kind, int64_t now_s)
{
	struct subject *s = subject_find(l, tag);
	struct shard *home = home_of(l, tag);
	struct set *set = set_of(l, tag);

	if (s != NULL) {
		subject_advance(l, s, now_s);
		return s;
	}
	uint32_t *place = place_for(l, set, home->subjects, now_s);
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
	assert(home->n_subjects <= l->n_sets * (WAYS + KINDS));
	*s = home->subjects[set->ghost[kind]];
	s->tag = tag;
	s->kind = (uint8_t)kind;
	s->born = ++home->n_born;
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

static struct name
mark_name(struct limiter *l, char what, uint64_t subject, uint64_t value)
{
	uint64_t data[3] = { subject, value, (unsigned char)what };

	return name_in(
	    l, subject, typed(tag_of(l, data, sizeof(data)), what == 'p'));
}

/* Marks of before a subject was forgotten are no longer found. */
static struct name
name_for(struct name name, const struct subject *s)
{
	bool credit = name.tag & 1;

	name.tag = typed(
	    name.tag ^ UINT64_C(0x9e3779b97f4a7c15) * s->generation, credit);
	return name;
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

static bool
is_credit(const struct mark *mark)
{
	return mark->tag & 1;
}

/* Put a mark into a free place, or that of an ended credit, or of the oldest
 * mark. NULL: open messages need all of these places. */
static struct mark *
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

/* --- one recipient --- */

/* What a message has reserved of one subject. */
struct limiter_hold {
	uint64_t tag;
	/* Of the mark of its sender, or client: the name, and the tag that it
	 * had for the subject then; 0: none. */
	uint64_t value, value_tag;
	uint32_t born, recipients;
	uint8_t kind;
	bool bounded; /* not all that is given up is freed */
	bool message, distinct; /* these are reserved, too */
};

/* A client or user while its recipient is looked at. */
struct party {
	uint64_t tag;
	enum kind kind;
	uint8_t place; /* of a user in the list */
	bool bounded;
	bool has_value;
	struct name value; /* its sender, its client */
	bool paid, message_paid; /* by a credit */
	bool over, firm;
	int limit; /* when over */
};

/* A recipient that is looked at, with the shards of all parties locked. */
struct taking {
	const struct limiter_event *ev;
	int64_t now_s;
	uint64_t shards; /* a bit each */
	/* by which credits are known: the connection, the recipient; 0: not */
	uint64_t key[2];
	bool first; /* of its message */
	unsigned n;
	struct party party[PARTIES];
};

_Static_assert(SHARDS <= 64, "a bit for each shard");

/* In the order of their number; the time of none goes back. Which mutexes it
 * locks is a number, which clang can't follow. */
static void
lock_shards(struct limiter *l, uint64_t shards, int64_t *now_s) UNCHECKED
{
	assert(shards != 0 && *now_s >= 0);
	for (int i = 0; i < SHARDS; i++)
		if (shards >> i & 1) {
			mutex_lock(&l->shard[i].mtx);
			if (l->shard[i].now_s > *now_s)
				*now_s = l->shard[i].now_s;
		}
	for (int i = 0; i < SHARDS; i++)
		if (shards >> i & 1)
			l->shard[i].now_s = *now_s;
}

static void
unlock_shards(struct limiter *l, uint64_t shards) UNCHECKED
{
	for (int i = 0; i < SHARDS; i++)
		if (shards >> i & 1)
			mutex_unlock(&l->shard[i].mtx);
}

/* Is there a count of the subject's for when the value was seen? */
static bool
is_counted(
    const struct limiter *l, const struct subject *s, const struct mark *mark)
{
	int limit = limit_of(s, DISTINCT);
	const struct counter *c = &s->metric[DISTINCT];
	uint32_t slot = slot_of(l, limit, mark->seen_s);

	return mark->seen_s != 0 && c->newest - slot < SLOTS &&
	    c->slot[slot % SLOTS] > 0;
}

static uint32_t *
slot_of_value(
    const struct limiter *l, struct subject *s, const struct mark *mark)
{
	uint32_t slot = slot_of(l, limit_of(s, DISTINCT), mark->seen_s);

	return &s->metric[DISTINCT].slot[slot % SLOTS];
}

/* Take back the count of when the value was seen: is_counted(). */
static void
uncount_value(
    const struct limiter *l, struct subject *s, const struct mark *mark)
{
	assert(is_counted(l, s, mark));
	--*slot_of_value(l, s, mark);
}

/* The mark that says that the subject has used this value of late, or has
 * reserved it. */
static struct mark *
value_known(
    const struct limiter *l, const struct subject *s, const struct name *value)
{
	struct mark *mark = mark_find(value);

	return mark != NULL && (mark->value.open > 0 || is_counted(l, s, mark))
	    ? mark
	    : NULL;
}

static void
counter_add(struct counter *c, uint32_t n)
{
	c->slot[c->newest % SLOTS] += n;
}

/* Take back one count of slot from or later: the oldest that there is, so that
 * the counts that are left last no shorter. */
static void
counter_take_back(struct counter *c, uint32_t from)
{
	if (c->newest >= SLOTS && from < c->newest - SLOTS + 1)
		from = c->newest - SLOTS + 1;
	for (uint32_t i = from; i <= c->newest; i++)
		if (c->slot[i % SLOTS] > 0) {
			c->slot[i % SLOTS]--;
			return;
		}
}

/* The subject uses the value now; permit: so says the permit channel. */
static void
count_value(const struct limiter *l, struct subject *s,
    const struct name *value, bool permit, int64_t now_s)
{
	struct counter *c = &s->metric[DISTINCT];
	struct mark *mark = mark_find(value);
	bool known = mark != NULL &&
	    (mark->value.open > 0 ? mark->seen_s != 0 : is_counted(l, s, mark));

	if (mark == NULL)
		mark = mark_make(value, now_s);
	if (mark == NULL) {
		counter_add(c, 1);
		return;
	}
	if (!permit || mark->value.unclaimed == UINT16_MAX)
		mark->value.unclaimed = 0;
	else if (!known || mark->value.unclaimed > 0)
		mark->value.unclaimed++;
	if (known && mark->value.open == 0)
		uncount_value(l, s, mark);
	mark->seen_s = (uint32_t)now_s;
	if (mark->value.open == 0)
		counter_add(c, 1);
}

/* An open message uses it: what was counted is reserved instead. */
static void
hold_value(const struct limiter *l, struct subject *s, const struct name *value,
    struct limiter_hold *h, int64_t now_s)
{
	struct mark *mark = mark_find(value);

	h->distinct = true;
	if (mark == NULL)
		mark = mark_make(value, now_s);
	if (mark == NULL || mark->value.open == UINT16_MAX) {
		counter_add(&s->metric[DISTINCT], 1);
		return;
	}
	h->value_tag = value->tag;
	if (mark->value.open++ > 0)
		return;
	s->pending[DISTINCT]++;
	if (is_counted(l, s, mark))
		uncount_value(l, s, mark);
	else
		mark->seen_s = 0;
}

/* The message has ended. own: it reserved of this subject, and not of one that
 * had its name before it. */
static void
release_value(struct limiter *l, struct subject *s, struct name value,
    const struct limiter_hold *h, bool own, bool counts, int64_t now_s)
{
	struct name now = name_for(value, s);
	bool same = now.tag == h->value_tag; /* not forgotten meanwhile */

	value.tag = h->value_tag;
	struct mark *mark = h->value_tag == 0 ? NULL : mark_find(&value);

	/* after it was driven out and came back, it may be counted there */
	if (counts)
		count_value(l, s, &now, false, now_s);
	if (mark == NULL || mark->value.open == 0 || --mark->value.open > 0)
		return;
	if (own && s->pending[DISTINCT] > 0)
		s->pending[DISTINCT]--;
	uint32_t age = s->metric[DISTINCT].newest -
	    slot_of(l, limit_of(s, DISTINCT), mark->seen_s);

	if (same && mark->seen_s != 0 && age < SLOTS)
		++*slot_of_value(l, s, mark);
	else
		mark->tag = 0;
}

/* --- credits --- */

static struct name
credit_name(
    struct limiter *l, const struct subject *s, uint64_t key, int64_t step)
{
	uint64_t value = key ^ (uint64_t)step * UINT64_C(0x9e3779b97f4a7c15);

	return name_for(mark_name(l, 'p', s->tag, value), s);
}

/* A credit that holds: the newest, with a recipient or with a message.
 * *from_r is the time from which on it was counted. NULL: none. */
static struct mark *
credit_find(struct limiter *l, const struct taking *t, const struct subject *s,
    bool message, int64_t *from_r)
{
	if (home_of(l, s->tag)->credits_until_s < t->now_s)
		return NULL;
	for (int k = 0; k < 2; k++)
		for (int64_t step = t->now_s / CREDIT_STEP_S;
		     t->key[k] != 0 && step >= 0 &&
		     t->now_s - step * CREDIT_STEP_S <= LIMITER_CREDIT_S;
		     step--) {
			struct name name = credit_name(l, s, t->key[k], step);
			struct mark *mark = mark_find(&name);

			if (mark == NULL ||
			    (message ? mark->credit.messages
				     : mark->credit.recipients) == 0)
				continue;
			*from_r = step * CREDIT_STEP_S;
			return mark;
		}
	return NULL;
}

static void
credit_leave(struct limiter *l, const struct taking *t, const struct subject *s,
    bool message)
{
	uint64_t key = t->key[0] != 0 ? t->key[0] : t->key[1];

	if (key == 0)
		return;
	struct name name = credit_name(l, s, key, t->now_s / CREDIT_STEP_S);
	struct mark *mark = mark_find(&name);

	if (mark == NULL)
		mark = mark_make(&name, t->now_s);
	if (mark == NULL)
		return;
	if (mark->credit.recipients < UINT16_MAX)
		mark->credit.recipients++;
	if (message && mark->credit.messages < UINT16_MAX)
		mark->credit.messages++;
	mark->seen_s = (uint32_t)t->now_s;
	name.home->credits_until_s = t->now_s + LIMITER_CREDIT_S;
}

static void
credit_use(struct mark *mark, bool message)
{
	assert(is_credit(mark));
	assert((message ? mark->credit.messages : mark->credit.recipients) > 0);
	if (message)
		mark->credit.messages--;
	else
		mark->credit.recipients--;
	if (mark->credit.recipients == 0 && mark->credit.messages == 0)
		mark->tag = 0;
}

/* --- who is charged --- */

static struct party *
add_party(struct limiter *l, struct taking *t, enum kind kind, uint64_t tag)
{
	assert(t->n < PARTIES);
	struct party *p = &t->party[t->n++];

	*p = (struct party){ .tag = tag, .kind = kind };
	t->shards |= UINT64_C(1) << shard_of(tag);
	__builtin_prefetch(set_of(l, tag));
	return p;
}

static void
name_user(struct limiter *l, struct taking *t, const char *user, uint8_t place,
    uint64_t client)
{
	bool by_login = t->ev->by_login;
	struct party *p =
	    add_party(l, t, USER, limiter_user(l, user, by_login));

	p->bounded = !by_login;
	p->place = place;
	p->has_value = true;
	p->value = mark_name(l, 'c', p->tag, client);
	__builtin_prefetch(p->value.bucket);
}

static void
name_users(struct limiter *l, struct taking *t, uint64_t client)
{
	const char *user = t->ev->user;
	char name[LOGIN_USER_MAX];
	uint8_t place = 0;

	if (user == NULL || *user == '\0')
		return;
	if (!t->ev->by_login) {
		name_user(l, t, user, 0, client);
		return;
	}
	for (; place < USERLIST_USERS &&
	     (user = userlist_next(user, name)) != NULL;
	     place++)
		name_user(l, t, name, place, client);
}

static void
name_credits(struct limiter *l, struct taking *t, uint64_t client)
{
	const char *rcpt = t->ev->recipient;
	size_t len = rcpt == NULL ? 0 : strlen(rcpt);

	if (t->ev->port != 0) {
		uint64_t data[2] = { client, t->ev->port };

		t->key[0] = tag_of(l, data, sizeof(data));
	}
	if (len > 0)
		rcpt = address_inside(rcpt, &len);
	if (len > 0) {
		uint64_t data[2] = { client, tag_of_text(l, 'r', rcpt, len) };

		t->key[1] = tag_of(l, data, sizeof(data));
	}
}

/* Who and what this is about, with nothing locked. Where it is may well be in
 * no cache: all of it is fetched at once instead of one after the other. */
static void
name_parties(struct limiter *l, struct taking *t)
{
	const struct limiter_event *ev = t->ev;
	uint64_t client = limiter_client(l, &ev->client);

	t->first = ev->message != NULL && !ev->message->counted;
	if (!ev->free_client) {
		struct party *p = add_party(l, t, CLIENT, client);

		p->bounded = true;
		p->has_value = ev->sender != NULL;
		if (p->has_value) {
			p->value = mark_name(l, 's', p->tag,
			    tag_of_text(
				l, 's', ev->sender, strlen(ev->sender)));
			__builtin_prefetch(p->value.bucket);
		}
	}
	name_users(l, t, client);
	name_credits(l, t, client);
}

static void
fetch_parties(struct limiter *l, const struct taking *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct party *p = &t->party[i];
		const struct subject *s = subject_find(l, p->tag);

		if (p->has_value)
			__builtin_prefetch(
			    &p->value.home->groups[*p->value.bucket], 1);
		if (s != NULL)
			fetch(s);
	}
}

/* What the message of this event has reserved of the subject; NULL: nothing */
static struct limiter_hold *
hold_find(const struct limiter_message *m, const struct subject *s)
{
	for (unsigned i = 0; m != NULL && i < m->n_holds; i++)
		if (m->holds[i].tag == s->tag && m->holds[i].born == s->born)
			return &m->holds[i];
	return NULL;
}

/* NULL when there is no room or memory: then it counts at once. */
static struct limiter_hold *
hold_get(
    struct limiter_message *m, const struct subject *s, const struct party *p)
{
	struct limiter_hold *h = hold_find(m, s);

	if (h != NULL)
		return h;
	assert(m->n_holds <= m->holds_room);
	if (m->n_holds == m->holds_room) {
		uint16_t room =
		    m->holds_room == 0 ? 2 : (uint16_t)(m->holds_room * 2);
		void *v = room > HOLDS_MAX
		    ? NULL
		    : reallocarray(m->holds, room, sizeof(*m->holds));

		if (v == NULL)
			return NULL;
		m->holds = v;
		m->holds_room = room;
	}
	h = &m->holds[m->n_holds++];
	*h = (struct limiter_hold){ .tag = s->tag,
		.born = s->born,
		.kind = s->kind,
		.bounded = p->bounded };
	return h;
}

/* Does one more need none of this metric's room? */
static bool
needs_none(const struct limiter *l, const struct taking *t,
    const struct party *p, const struct subject *s, int metric)
{
	const struct limiter_hold *h = hold_find(t->ev->message, s);

	if (metric == 0)
		return p->paid;
	if (metric == 1)
		return !t->first || p->message_paid;
	if (!p->has_value || (h != NULL && h->distinct))
		return true;
	struct name value = name_for(p->value, s);

	return value_known(l, s, &value) != NULL;
}

/* Has it room for one more? */
static void
check(struct limiter *l, struct taking *t, struct party *p,
    const struct limit_rate rate[LIMITS])
{
	struct subject *s = subject_get(l, p->tag, p->kind, t->now_s);
	int64_t from;

	if (!t->ev->permit) {
		p->paid = credit_find(l, t, s, false, &from) != NULL;
		p->message_paid =
		    t->first && credit_find(l, t, s, true, &from) != NULL;
	}
	for (int m = 0; rate != NULL && m < METRICS && !p->over; m++) {
		int64_t max = rate[limit_of(s, m)].max;
		int64_t sum = counter_sum(&s->metric[m]);
		int64_t all = sum + s->pending[m];

		if (max == 0)
			continue;
		if (all * 2 <= max)
			s->over &= (uint8_t) ~(1U << m | 1U << (m + SAID_FIRM));
		if (all < max || needs_none(l, t, p, s, m))
			continue;
		p->over = true;
		p->firm = sum >= max;
		p->limit = limit_of(s, m);
	}
}

/* The client, or one of its users, is why the recipient must not go. */
static void
add_breach(struct limiter *l, const struct taking *t, const struct party *p,
    struct limiter_answer *answer)
{
	struct subject *s = subject_get(l, p->tag, p->kind, t->now_s);
	assert(p->over && answer->n < USERLIST_USERS);
	struct limiter_breach *b = &answer->breach[answer->n++];
	int metric = p->limit % METRICS;
	uint8_t said = (uint8_t)(1 << metric);
	uint8_t firm = (uint8_t)(1 << (metric + SAID_FIRM));

	*b = (struct limiter_breach){ .limit = (enum limit)p->limit,
		.user = p->place,
		.entered = !(s->over & said),
		.firm = p->firm && !(s->over & firm) };
	s->over |= (uint8_t)(said | (p->firm ? firm : 0));
	answer->over = true;
}

/* The permit channel's count becomes the milter's reservation: and what it used
 * is used no longer, unless by others. */
static void
take_back(struct limiter *l, const struct taking *t, struct subject *s,
    const struct party *p, bool message)
{
	struct name value = name_for(p->value, s);
	int metric = message ? 1 : 0, limit = limit_of(s, metric);
	struct mark *mark;
	int64_t from;

	mark = credit_find(l, t, s, message, &from);
	if (mark == NULL)
		return;
	credit_use(mark, message);
	if (!t->ev->hold)
		return;
	counter_take_back(&s->metric[metric], slot_of(l, limit, from));
	if (message || !p->has_value)
		return;
	mark = value_known(l, s, &value);
	if (mark == NULL || mark->value.unclaimed == 0 ||
	    --mark->value.unclaimed > 0)
		return;
	if (mark->value.open == 0) {
		uncount_value(l, s, mark);
		mark->tag = 0;
	} else {
		mark->seen_s = 0;
	}
}

static void
reserve(struct limiter *l, const struct taking *t, struct subject *s,
    const struct party *p, struct limiter_hold *h)
{
	struct name value = name_for(p->value, s);

	s->pending[0]++;
	h->recipients++;
	if (t->first) {
		s->pending[1]++;
		h->message = true;
	}
	if (!p->has_value)
		return;
	h->value = p->value.tag;
	if (!h->distinct)
		hold_value(l, s, &value, h, t->now_s);
}

static void
count(struct limiter *l, const struct taking *t, const struct party *p)
{
	struct subject *s = subject_get(l, p->tag, p->kind, t->now_s);
	struct limiter_hold *h =
	    t->ev->hold ? hold_get(t->ev->message, s, p) : NULL;
	struct name value = name_for(p->value, s);

	if (p->paid)
		take_back(l, t, s, p, false);
	if (p->message_paid)
		take_back(l, t, s, p, true);
	if (h != NULL) {
		reserve(l, t, s, p, h);
		return;
	}
	/* where it was to be reserved, and can't, it was taken back, too */
	if (!p->paid || t->ev->hold)
		counter_add(&s->metric[0], 1);
	if (t->first && (!p->message_paid || t->ev->hold))
		counter_add(&s->metric[1], 1);
	if ((!p->paid || t->ev->hold) && p->has_value)
		count_value(l, s, &value, t->ev->permit, t->now_s);
	if (t->ev->permit)
		credit_leave(l, t, s, t->first);
}

/* All parties are locked. A user by login who has no room isn't charged, as
 * long as there is another one that has. */
static void
take_locked(struct limiter *l, const struct limit_rate rate[LIMITS],
    struct taking *t, struct limiter_answer *answer)
{
	bool room = false, users = false;

	for (unsigned i = 0; i < t->n; i++) {
		struct party *p = &t->party[i];

		check(l, t, p, rate);
		users |= p->kind == USER;
		room |= p->kind == USER && !p->over;
		if (p->kind == CLIENT && p->over) {
			add_breach(l, t, p, answer);
			return;
		}
	}
	for (unsigned i = 0; users && !room && i < t->n; i++)
		if (t->party[i].kind == USER)
			add_breach(l, t, &t->party[i], answer);
	for (unsigned i = 0; !answer->over && i < t->n; i++) {
		const struct party *p = &t->party[i];

		if (p->over)
			continue;
		count(l, t, p);
		if (p->kind == USER)
			answer->charged |= (uint8_t)(1 << p->place);
	}
}

_Static_assert(USERLIST_USERS <= 8, "a bit for each user");

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
	answer->n = 1;
	answer->breach[0] =
	    (struct limiter_breach){ .limit = LIMIT_MESSAGE_RECIPIENTS,
		    .entered = !m->said };
	m->said = true;
	return true;
}

void
limiter_take(struct limiter *l, const struct limit_rate rate[LIMITS],
    const struct limiter_event *ev, struct limiter_answer *answer)
{
	struct taking t = { .ev = ev, .now_s = ev->now_s };

	assert(ev->now_s >= 0);
	/* the milter reserves for its message, the permit channel counts */
	assert(!ev->hold || (ev->message != NULL && !ev->permit));
	*answer = (struct limiter_answer){ .over = false };
	if (too_many(rate, ev->message, answer))
		return;
	name_parties(l, &t);
	if (t.n > 0) {
		lock_shards(l, t.shards, &t.now_s);
		fetch_parties(l, &t);
		take_locked(l, rate, &t, answer);
		unlock_shards(l, t.shards);
	}
	if (ev->message != NULL && !answer->over) {
		ev->message->counted = true;
		ev->message->recipients++;
	}
}

/* How many of n recipients of a message that was given up are free again. */
static uint32_t
free_again(
    struct subject *s, const struct limit_rate *rate, uint32_t n, int64_t now_s)
{
	if (rate->max == 0)
		return n;
	if (now_s - s->freed_since_s >= rate->window_s) {
		s->freed_since_s = (uint32_t)now_s;
		s->freed = 0;
	}
	if (s->freed >= rate->max)
		return 0;
	if (n > rate->max - s->freed)
		n = (uint32_t)(rate->max - s->freed);
	s->freed += n;
	return n;
}

/* What counts is what was sent, and what was given up too often: the message
 * as its first recipient does. */
static void
settle_one(struct limiter *l, const struct limit_rate rate[LIMITS],
    int64_t now_s, const struct limiter_hold *h, bool sent)
{
	struct subject *s = subject_get(l, h->tag, (enum kind)h->kind, now_s);
	bool own = s->born == h->born;
	uint32_t freed = sent ? 0 : h->recipients;

	if (own) {
		assert(s->pending[0] >= h->recipients);
		assert(s->pending[1] >= h->message);
		s->pending[0] -= h->recipients;
		s->pending[1] -= h->message;
	}
	if (own && !sent && h->bounded)
		freed =
		    free_again(s, &rate[limit_of(s, 0)], h->recipients, now_s);
	counter_add(&s->metric[0], h->recipients - freed);
	counter_add(&s->metric[1], h->message && freed == 0);
	if (h->distinct)
		release_value(l, s, name_in(l, h->tag, h->value), h, own,
		    freed < h->recipients, now_s);
}

void
limiter_settle(struct limiter *l, const struct limit_rate rate[LIMITS],
    int64_t now_s, struct limiter_message *message, bool sent)
{
	for (unsigned i = 0; i < message->n_holds; i++) {
		const struct limiter_hold *h = &message->holds[i];
		uint64_t shard = UINT64_C(1) << shard_of(h->tag);
		int64_t at_s = now_s;

		lock_shards(l, shard, &at_s);
		settle_one(l, rate, at_s, h, sent);
		unlock_shards(l, shard);
	}
	free(message->holds);
	message->holds = NULL;
	message->n_holds = message->holds_room = 0;
}

/* What counts of a subject, by metric. */
static void
usage_of(struct limiter *l, uint64_t tag, int64_t now_s, int64_t used[METRICS])
{
	uint64_t shard = UINT64_C(1) << shard_of(tag);

	lock_shards(l, shard, &now_s);
	struct subject *s = subject_find(l, tag);

	for (int m = 0; m < METRICS; m++)
		used[m] = 0;
	if (s != NULL) {
		subject_advance(l, s, now_s);
		for (int m = 0; m < METRICS; m++)
			used[m] =
			    (int64_t)counter_sum(&s->metric[m]) + s->pending[m];
	}
	unlock_shards(l, shard);
}

void
limiter_usage(
    struct limiter *l, const struct limiter_event *ev, int64_t used[LIMITS])
{
	struct taking t = { .ev = ev };
	bool any = false;

	memset(used, 0, LIMITS * sizeof(*used));
	name_parties(l, &t);
	for (unsigned i = 0; i < t.n; i++) {
		const struct party *p = &t.party[i];
		int64_t *of = used + p->kind * METRICS, mine[METRICS];

		usage_of(l, p->tag, ev->now_s, mine);
		if (p->kind == USER && any && mine[0] >= of[0])
			continue;
		any |= p->kind == USER;
		memcpy(of, mine, sizeof(mine));
	}
}

/* Which limit of recipients or messages has nothing left; -1: none. */
static int
full(const struct limit_rate rate[LIMITS], enum kind kind,
    const int64_t used[METRICS])
{
	for (int m = 0; m < DISTINCT; m++) {
		int limit = (int)kind * METRICS + m;

		if (rate[limit].max > 0 && used[m] >= rate[limit].max)
			return limit;
	}
	return -1;
}

bool
limiter_full(struct limiter *l, const struct limit_rate rate[LIMITS],
    const struct limiter_event *ev, enum limit *limit_r)
{
	struct taking t = { .ev = ev };
	bool room = false;
	int limit = -1;

	name_parties(l, &t);
	for (unsigned i = 0; i < t.n; i++) {
		const struct party *p = &t.party[i];
		int64_t used[METRICS];

		usage_of(l, p->tag, ev->now_s, used);
		int its = full(rate, p->kind, used);

		if (its != -1 && limit == -1)
			limit = its;
		if (p->kind == CLIENT && its != -1)
			break;
		room |= p->kind == USER && its == -1;
	}
	*limit_r = limit == -1 ? LIMITS : (enum limit)limit;
	return limit != -1 && (limit < LIMIT_USER_RECIPIENTS || !room);
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
	assert(d >= shard->denied && d < shard->denied + shard->n_denied);
	*d = shard->denied[--shard->n_denied];
	atomic_fetch_sub(&l->n_denied, 1);
}

void
limiter_deny(struct limiter *l, uint64_t subject, int64_t until)
{
	struct shard *shard = &l->shard[shard_of(subject)];

	assert(subject != 0);
	mutex_lock(&shard->mtx);
	struct denial *d = denial_find(shard, subject);

	if (d != NULL && d->until < until)
		d->until = until;
	if (d == NULL && (d = denial_make(l, shard)) != NULL)
		*d = (struct denial){ .tag = subject, .until = until };
	mutex_unlock(&shard->mtx);
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
	mutex_lock(&shard->mtx);
	struct denial *d = denial_find(shard, subject);
	bool denied = d != NULL && d->until > now;

	if (d != NULL && !denied)
		denial_drop(l, shard, d);
	mutex_unlock(&shard->mtx);
	return denied;
}

void
limiter_forget(struct limiter *l, uint64_t subject)
{
	struct shard *shard = &l->shard[shard_of(subject)];

	assert(subject != 0);
	mutex_lock(&shard->mtx);
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
	mutex_unlock(&shard->mtx);
}
