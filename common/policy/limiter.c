/* SPDX-License-Identifier: ISC */
#include "common/policy/limiter.h"

#include <stdlib.h>
#include <string.h>

#include "common/mta/address.h"
#include "common/policy/limiter_inside.h"

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
	struct credits credits;
	uint64_t shards; /* a bit each */
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
	for (uint64_t left = shards; left != 0; left &= left - 1) {
		struct shard *home = &l->shard[__builtin_ctzll(left)];

		mutex_lock(&home->mtx);
		if (home->now_s > *now_s)
			*now_s = home->now_s;
	}
	for (uint64_t left = shards; left != 0; left &= left - 1)
		l->shard[__builtin_ctzll(left)].now_s = *now_s;
}

static void
unlock_shards(struct limiter *l, uint64_t shards) UNCHECKED
{
	assert(shards != 0);
	for (; shards != 0; shards &= shards - 1)
		mutex_unlock(&l->shard[__builtin_ctzll(shards)].mtx);
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

	assert(place < USERLIST_USERS);
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

		t->credits.key[0] = tag_of(l, data, sizeof(data));
	}
	if (len > 0)
		rcpt = address_inside(rcpt, &len);
	if (len > 0) {
		uint64_t data[2] = { client, tag_of_text(l, 'r', rcpt, len) };

		t->credits.key[1] = tag_of(l, data, sizeof(data));
	}
}

/* Find out the parties and values of an event, with nothing locked. Their
 * places in the table are probably in no cache, so all are fetched at once and
 * not one after the other. */
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

/* The room that this message has reserved of the subject; NULL: none. */
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
	assert(m->n_holds < m->holds_room && m->holds_room <= HOLDS_MAX);
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
	struct subject *s = subject_get(l, p->tag, p->kind, t->credits.now_s);
	int64_t from;

	if (!t->ev->permit) {
		p->paid = credit_find(l, &t->credits, s, false, &from) != NULL;
		p->message_paid = t->first &&
		    credit_find(l, &t->credits, s, true, &from) != NULL;
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
	struct subject *s = subject_get(l, p->tag, p->kind, t->credits.now_s);
	assert(p->over && p->limit >= 0 && p->limit < LIMITS);
	assert(answer->n < USERLIST_USERS);
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

	mark = credit_find(l, &t->credits, s, message, &from);
	if (mark == NULL)
		return;
	credit_use(mark, message);
	if (!t->ev->hold)
		return;
	counter_take_back(&s->metric[metric], slot_of(l, limit, from));
	if (message || !p->has_value)
		return;
	/* used before there was the credit: that was for another one's */
	mark = value_known(l, s, &value);
	if (mark == NULL || mark->value.unclaimed == 0 || mark->seen_s < from ||
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

	assert(h->tag == s->tag && h->born == s->born);
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
		hold_value(l, s, &value, h, t->credits.now_s);
}

static void
count(struct limiter *l, const struct taking *t, const struct party *p)
{
	struct subject *s = subject_get(l, p->tag, p->kind, t->credits.now_s);
	struct limiter_hold *h =
	    t->ev->hold ? hold_get(t->ev->message, s, p) : NULL;
	struct name value = name_for(p->value, s);

	assert(!p->over);
	assert(!p->message_paid || t->first);
	if (p->paid)
		take_back(l, t, s, p, false);
	if (p->message_paid)
		take_back(l, t, s, p, true);
	if (h != NULL) {
		reserve(l, t, s, p, h);
		return;
	}
	/* If it couldn't be reserved, its credit was taken back above, so it
	 * counts now. */
	if (!p->paid || t->ev->hold)
		counter_add(&s->metric[0], 1);
	if (t->first && (!p->message_paid || t->ev->hold))
		counter_add(&s->metric[1], 1);
	if ((!p->paid || t->ev->hold) && p->has_value)
		count_value(l, s, &value, t->ev->permit, t->credits.now_s);
	if (t->ev->permit)
		credit_leave(l, &t->credits, s, t->first);
}

/* All parties are locked. A user by login who has no room isn't charged, as
 * long as there is another one that has. */
static void
take_locked(struct limiter *l, const struct limit_rate rate[LIMITS],
    struct taking *t, struct limiter_answer *answer)
{
	bool room = false, users = false;

	assert(t->n <= PARTIES && answer->n == 0);
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
	struct taking t = { .ev = ev, .credits.now_s = ev->now_s };

	assert(ev->now_s >= 0);
	/* the milter reserves for its message, the permit channel counts */
	assert(!ev->hold || (ev->message != NULL && !ev->permit));
	*answer = (struct limiter_answer){ .over = false };
	if (too_many(rate, ev->message, answer))
		return;
	name_parties(l, &t);
	if (t.n > 0) {
		lock_shards(l, t.shards, &t.credits.now_s);
		fetch_parties(l, &t);
		take_locked(l, rate, &t, answer);
		unlock_shards(l, t.shards);
	}
	if (ev->message != NULL && !answer->over) {
		ev->message->counted = true;
		ev->message->recipients++;
	}
}

static void
count_told(struct limiter *l, const struct taking *t, const struct party *p,
    const struct limiter_told *told)
{
	int64_t now_s = t->credits.now_s;
	int64_t at_s = told->at_s < now_s ? told->at_s : now_s;
	struct subject *s = subject_get(l, p->tag, p->kind, now_s);
	const uint32_t n[DISTINCT] = { told->recipients, told->messages };

	if (at_s <= s->lifted_s)
		return;
	for (int m = 0; m < DISTINCT; m++)
		counter_add_at(
		    &s->metric[m], slot_of(l, limit_of(s, m), at_s), n[m]);
	if (!p->has_value || told->recipients == 0)
		return;
	struct name value = name_for(p->value, s);

	count_value_at(l, s, &value, at_s, now_s);
}

void
limiter_take_told(struct limiter *l, const struct limiter_event *ev,
    const struct limiter_told *told)
{
	struct taking t = { .ev = ev, .credits.now_s = ev->now_s };

	assert(ev->message == NULL && !ev->hold && !ev->permit);
	assert(told->at_s >= 0);
	name_parties(l, &t);
	if (t.n == 0)
		return;
	lock_shards(l, t.shards, &t.credits.now_s);
	fetch_parties(l, &t);
	for (unsigned i = 0; i < t.n; i++)
		count_told(l, &t, &t.party[i], told);
	unlock_shards(l, t.shards);
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

/* Count recipients that were sent, and those that were given up too often. The
 * message counts as its first recipient does. */
static void
settle_one(struct limiter *l, const struct limit_rate rate[LIMITS],
    int64_t now_s, const struct limiter_hold *h, bool sent)
{
	struct subject *s = subject_get(l, h->tag, (enum kind)h->kind, now_s);
	bool own = s->born == h->born;
	uint32_t freed = sent ? 0 : h->recipients;

	assert(h->recipients > 0);
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
	assert(freed <= h->recipients);
	if (h->distinct)
		release_value(l, s, name_in(l, h->tag, h->value), h, own,
		    freed < h->recipients, now_s);
}

void
limiter_settle(struct limiter *l, const struct limit_rate rate[LIMITS],
    int64_t now_s, struct limiter_message *message, bool sent)
{
	assert(now_s >= 0);
	assert(message->n_holds <= message->holds_room);
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

/* The counts of a subject, by metric. */
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

	assert(ev->now_s >= 0);
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

/* The limit of recipients or messages that has nothing left; -1: none. */
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

	assert(ev->now_s >= 0);
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
