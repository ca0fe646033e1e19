/* SPDX-License-Identifier: ISC */
/* Marks count the senders or clients that a subject has used, and the
 * credits that the permit channel left for the milter. */
#include "common/policy/limiter_inside.h"

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

	assert(mark->seen_s != 0 && !is_credit(mark));
	return &s->metric[DISTINCT].slot[slot % SLOTS];
}

void
uncount_value(
    const struct limiter *l, struct subject *s, const struct mark *mark)
{
	assert(is_counted(l, s, mark));
	--*slot_of_value(l, s, mark);
}

struct mark *
value_known(
    const struct limiter *l, const struct subject *s, const struct name *value)
{
	struct mark *mark = mark_find(value);

	return mark != NULL && (mark->value.open > 0 || is_counted(l, s, mark))
	    ? mark
	    : NULL;
}

void
counter_take_back(struct counter *c, uint32_t from)
{
	assert(from <= c->newest);
	if (c->newest >= SLOTS && from < c->newest - SLOTS + 1)
		from = c->newest - SLOTS + 1;
	for (uint32_t i = from; i <= c->newest; i++)
		if (c->slot[i % SLOTS] > 0) {
			c->slot[i % SLOTS]--;
			return;
		}
}

void
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
	else if (!known)
		mark->value.unclaimed = 1; /* none of a window before */
	else if (mark->value.unclaimed > 0)
		mark->value.unclaimed++;
	if (known && mark->value.open == 0)
		uncount_value(l, s, mark);
	mark->seen_s = (uint32_t)now_s;
	if (mark->value.open == 0)
		counter_add(c, 1);
}

void
count_value_at(const struct limiter *l, struct subject *s,
    const struct name *value, int64_t at_s, int64_t now_s)
{
	struct counter *c = &s->metric[DISTINCT];
	uint32_t slot = slot_of(l, limit_of(s, DISTINCT), at_s);
	struct mark *mark = mark_find(value);
	bool known = mark != NULL &&
	    (mark->value.open > 0 ? mark->seen_s != 0 : is_counted(l, s, mark));

	if (slot > c->newest || c->newest - slot >= SLOTS)
		return;
	if (mark == NULL)
		mark = mark_make(value, now_s);
	if (mark == NULL) {
		counter_add_at(c, slot, 1);
		return;
	}
	mark->value.unclaimed = 0;
	if (known && mark->seen_s >= (uint32_t)at_s)
		return;
	if (known && mark->value.open == 0)
		uncount_value(l, s, mark);
	mark->seen_s = (uint32_t)at_s;
	if (mark->value.open == 0)
		counter_add_at(c, slot, 1);
}

void
hold_value(const struct limiter *l, struct subject *s, const struct name *value,
    struct limiter_hold *h, int64_t now_s)
{
	struct mark *mark = mark_find(value);

	assert(!h->distinct);
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

void
release_value(struct limiter *l, struct subject *s, struct name value,
    const struct limiter_hold *h, bool own, bool counts, int64_t now_s)
{
	struct name now = name_for(value, s);
	bool same = now.tag == h->value_tag; /* not forgotten meanwhile */

	assert(h->distinct);
	value.tag = h->value_tag;
	struct mark *mark = h->value_tag == 0 ? NULL : mark_find(&value);

	assert(mark == NULL || !is_credit(mark));
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

struct mark *
credit_find(struct limiter *l, const struct credits *c, const struct subject *s,
    bool message, int64_t *from_r)
{
	if (home_of(l, s->tag)->credits_until_s < c->now_s)
		return NULL;
	for (int k = 0; k < 2; k++)
		for (int64_t step = c->now_s / CREDIT_STEP_S;
		     c->key[k] != 0 && step >= 0 &&
		     c->now_s - step * CREDIT_STEP_S <= LIMITER_CREDIT_S;
		     step--) {
			struct name name = credit_name(l, s, c->key[k], step);
			struct mark *mark = mark_find(&name);

			if (mark == NULL ||
			    (message ? mark->credit.messages
				     : mark->credit.recipients) == 0)
				continue;
			*from_r = mark->seen_s;
			return mark;
		}
	return NULL;
}

void
credit_leave(struct limiter *l, const struct credits *c,
    const struct subject *s, bool message)
{
	uint64_t key = c->key[0] != 0 ? c->key[0] : c->key[1];

	if (key == 0)
		return;
	struct name name = credit_name(l, s, key, c->now_s / CREDIT_STEP_S);
	struct mark *mark = mark_find(&name);

	if (mark == NULL) {
		mark = mark_make(&name, c->now_s);
		if (mark == NULL)
			return;
		mark->seen_s = (uint32_t)c->now_s;
	}
	assert(is_credit(mark));
	if (mark->credit.recipients < UINT16_MAX)
		mark->credit.recipients++;
	if (message && mark->credit.messages < UINT16_MAX)
		mark->credit.messages++;
	name.home->credits_until_s = c->now_s + LIMITER_CREDIT_S;
}

void
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
