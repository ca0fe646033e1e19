/* SPDX-License-Identifier: ISC */
/* limiter_inside - the limiter's memory, as its parts share it: limiter_table.c
 * finds subjects and marks in it and slides their windows, limiter_values.c counts on marks,
 * limiter_denied.c keeps who is kept out, and limiter.c charges recipients by
 * all of these. A function that touches a shard has it locked. */
#ifndef POPGATE_LIMITER_INSIDE_H
#define POPGATE_LIMITER_INSIDE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/guarded.h"
#include "common/policy/limiter.h"

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
	uint32_t lifted_s; /* what was relayed up to then doesn't count */
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
			/* How often only the permit channel has used it, and
			 * the milter not claimed that. When claims bring it to
			 * 0, the mark goes; 0 from the start: used
			 * otherwise. */
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

/* The place of a mark, and its name there. */
struct name {
	struct shard *home;
	uint16_t *bucket;
	uint64_t tag;
};

/* By which credits of a subject are known: the connection, the recipient (0:
 * not known), and when. */
struct credits {
	uint64_t key[2];
	int64_t now_s;
};

/* The room that a message has reserved of one subject. */
struct limiter_hold {
	uint64_t tag;
	/* The mark of its sender, or client: the name, and the tag that it had
	 * for the subject then; 0: none. */
	uint64_t value, value_tag;
	uint32_t born, recipients;
	uint8_t kind;
	bool bounded; /* not all that is given up is freed */
	bool message, distinct; /* these are reserved, too */
};

static inline uint32_t
slot_of(const struct limiter *l, int limit, int64_t now_s)
{
	return (uint32_t)(now_s * 1000 / l->width_ms[limit]);
}

static inline int
limit_of(const struct subject *s, int metric)
{
	return s->kind * METRICS + metric;
}

static inline unsigned
shard_of(uint64_t tag)
{
	return tag % SHARDS;
}

static inline struct shard *
home_of(struct limiter *l, uint64_t tag)
{
	return &l->shard[shard_of(tag)];
}

static inline void
counter_add(struct counter *c, uint32_t n)
{
	c->slot[c->newest % SLOTS] += n;
}

static inline bool
is_credit(const struct mark *mark)
{
	return mark->tag & 1;
}

static inline void
fetch(const struct subject *s)
{
	for (size_t i = 0; i < sizeof(*s); i += 64)
		__builtin_prefetch((const char *)s + i, 1);
}

/* --- limiter_table.c --- */

/* A name as a number: never 0. of_text: case is folded. */
uint64_t tag_of(const struct limiter *l, const void *data, size_t len);
uint64_t
tag_of_text(const struct limiter *l, char kind, const char *text, size_t size);

uint32_t counter_sum(const struct counter *c);
/* Count n in an earlier slot; nothing when it counts no longer. */
void counter_add_at(struct counter *c, uint32_t slot, uint32_t n);
void subject_advance(const struct limiter *l, struct subject *s, int64_t now_s);

struct set *set_of(struct limiter *l, uint64_t tag);
/* NULL: nothing is known of it. */
struct subject *subject_find(struct limiter *l, uint64_t tag);
/* Find or make: what an earlier call gave may be driven out. */
struct subject *
subject_get(struct limiter *l, uint64_t tag, enum kind kind, int64_t now_s);

/* A mark of the subject: where it is, or would be. what: 's' or 'c' of a value,
 * 'p' of a credit. */
struct name
mark_name(struct limiter *l, char what, uint64_t subject, uint64_t value);
struct name name_in(struct limiter *l, uint64_t subject, uint64_t tag);
/* The same since the subject was last forgotten: earlier marks aren't found. */
struct name name_for(struct name name, const struct subject *s);
struct mark *mark_find(const struct name *name); /* NULL: there is none */
/* Put a mark into a free place, or that of an ended credit, or of the oldest
 * mark. NULL: open messages need all of these places. */
struct mark *mark_make(const struct name *name, int64_t now_s);

/* --- limiter_values.c: name is from name_for() --- */

/* Take back one count of slot from or later: the oldest that there is, so that
 * the counts that are left last no shorter. */
void counter_take_back(struct counter *c, uint32_t from);

/* The mark that says that the subject has used this value of late, or has
 * reserved it; NULL: neither. */
struct mark *value_known(
    const struct limiter *l, const struct subject *s, const struct name *value);
/* The subject uses the value now; permit: so says the permit channel. */
void count_value(const struct limiter *l, struct subject *s,
    const struct name *value, bool permit, int64_t now_s);
/* The subject used the value at at_s, which may be a while ago. */
void count_value_at(const struct limiter *l, struct subject *s,
    const struct name *value, int64_t at_s, int64_t now_s);
/* Take back the count of a value that counts. */
void uncount_value(
    const struct limiter *l, struct subject *s, const struct mark *mark);
/* An open message uses it: what was counted is reserved instead. */
void hold_value(const struct limiter *l, struct subject *s,
    const struct name *value, struct limiter_hold *h, int64_t now_s);
/* The message has ended. value: from name_in(). own: it reserved of this
 * subject, and not of one that had its name before it. */
void release_value(struct limiter *l, struct subject *s, struct name value,
    const struct limiter_hold *h, bool own, bool counts, int64_t now_s);

/* A credit that holds: the newest, with a recipient or with a message; *from_r
 * is the time from which on it was counted. NULL: none. */
struct mark *credit_find(struct limiter *l, const struct credits *c,
    const struct subject *s, bool message, int64_t *from_r);
void credit_leave(struct limiter *l, const struct credits *c,
    const struct subject *s, bool message);
/* mark: from credit_find() of the same message. */
void credit_use(struct mark *mark, bool message);

#endif
