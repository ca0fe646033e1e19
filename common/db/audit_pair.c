/* SPDX-License-Identifier: ISC */
#include "common/db/audit_pair.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/siphash.h"
#include "common/mta/address.h"

enum { WAYS = 8, CLIENT_MAX = 64, RECIPIENT_MAX = 512 };

/* What the giver was told beside the client. */
enum told { PORT_AND_RECIPIENT, RECIPIENT, NOTHING, TOLDS };

struct slot {
	uint64_t hash; /* 0: free */
	int64_t at_ms;
	struct audit_pair pair;
};

struct audit_pairs {
	uint64_t key[2]; /* no client may choose which place it takes */
	int64_t given_ms[TOLDS]; /* the last time */
	size_t buckets;
	struct slot slot[];
};

struct audit_pairs *
audit_pairs_new(size_t room)
{
	struct audit_pairs *p =
	    calloc(1, sizeof(*p) + room * sizeof(struct slot));

	assert(room >= WAYS && (room & (room - 1)) == 0);
	if (p != NULL &&
	    getrandom(p->key, sizeof(p->key), 0) != (ssize_t)sizeof(p->key)) {
		free(p);
		p = NULL;
	}
	if (p == NULL)
		return NULL;
	p->buckets = room / WAYS;
	for (int i = 0; i < TOLDS; i++)
		p->given_ms[i] = INT64_MIN / 2;
	return p;
}

void
audit_pairs_free(struct audit_pairs *p)
{
	free(p);
}

static size_t
append(char *text, size_t n, const char *what, size_t len, size_t max)
{
	if (len > max)
		len = max;
	memcpy(text + n, what, len);
	return n + len;
}

/* Texts that are too long are told apart by what fits. */
static uint64_t
hash_of(const struct audit_pairs *p, const struct audit_pair_key *key,
    enum told told)
{
	char text[sizeof(key->port) + CLIENT_MAX + 1 + RECIPIENT_MAX];
	const uint16_t port = told == PORT_AND_RECIPIENT ? key->port : 0;
	size_t len = strlen(key->recipient), n = sizeof(port);
	const char *recipient = address_inside(key->recipient, &len);

	memcpy(text, &port, sizeof(port));
	n = append(text, n, key->client, strlen(key->client), CLIENT_MAX);
	text[n++] = '\0';
	if (told != NOTHING)
		n = append(text, n, recipient, len, RECIPIENT_MAX);
	uint64_t hash = siphash(p->key, text, n);

	return hash == 0 ? 1 : hash;
}

static struct slot *
bucket_of(struct audit_pairs *p, uint64_t hash)
{
	assert(hash != 0);
	return &p->slot[(hash & (p->buckets - 1)) * WAYS];
}

void
audit_pairs_give(struct audit_pairs *p, const struct audit_pair_key *key,
    int64_t at_ms, const struct audit_pair *pair)
{
	enum told told = *key->recipient == '\0' ? NOTHING
	    : key->port == 0                     ? RECIPIENT
						 : PORT_AND_RECIPIENT;
	uint64_t hash = hash_of(p, key, told);
	struct slot *bucket = bucket_of(p, hash), *s = bucket;

	for (int i = 1; i < WAYS && s->hash != 0; i++)
		if (bucket[i].hash == 0 || bucket[i].at_ms < s->at_ms)
			s = &bucket[i];
	*s = (struct slot){ .hash = hash, .at_ms = at_ms, .pair = *pair };
	s->pair.client_only = told == NOTHING;
	if (at_ms > p->given_ms[told])
		p->given_ms[told] = at_ms;
}

static struct slot *
newest(struct audit_pairs *p, const struct audit_pair_key *key, enum told told,
    int64_t at_ms)
{
	if (at_ms - p->given_ms[told] > PAIR_MS)
		return NULL; /* in one wiring they are all told the same */
	uint64_t hash = hash_of(p, key, told);
	struct slot *bucket = bucket_of(p, hash), *s = NULL;

	for (int i = 0; i < WAYS; i++)
		if (bucket[i].hash == hash &&
		    at_ms - bucket[i].at_ms <= PAIR_MS &&
		    (s == NULL || bucket[i].at_ms >= s->at_ms))
			s = &bucket[i];
	return s;
}

bool
audit_pairs_take(struct audit_pairs *p, const struct audit_pair_key *key,
    int64_t at_ms, struct audit_pair *pair_r)
{
	struct slot *s = NULL;

	if (key->port != 0)
		s = newest(p, key, PORT_AND_RECIPIENT, at_ms);
	if (s == NULL)
		s = newest(p, key, RECIPIENT, at_ms);
	if (s == NULL)
		s = newest(p, key, NOTHING, at_ms);
	*pair_r = (struct audit_pair){ .number = 0 };
	if (s != NULL) {
		*pair_r = s->pair;
		s->hash = 0;
	}
	pair_r->found = s != NULL;
	return pair_r->found;
}
