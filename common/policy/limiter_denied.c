/* SPDX-License-Identifier: ISC */
/* Clients and users that the limiter keeps out, and until when. */
#include "common/policy/limiter_inside.h"

#include <stdlib.h>
#include <string.h>

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

void
limiter_lift(struct limiter *l, uint64_t subject, bool is_user, int64_t at_s)
{
	struct shard *shard = &l->shard[shard_of(subject)];

	mutex_lock(&shard->mtx);
	struct subject *s =
	    subject_get(l, subject, is_user ? USER : CLIENT, shard->now_s);

	if (at_s > s->lifted_s)
		s->lifted_s = (uint32_t)at_s;
	mutex_unlock(&shard->mtx);
	limiter_forget(l, subject);
}
