/* SPDX-License-Identifier: ISC */
#include "common/db/audit_pair.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/siphash.h"
#include "common/mta/address.h"

enum { WAYS = 8, KEY_MAX = 700 };

struct slot {
	uint64_t hash; /* 0: free */
	int64_t at_ms;
	struct audit_pair pair;
};

struct audit_pairs {
	uint64_t key[2]; /* no client may choose which place it takes */
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
	if (p != NULL)
		p->buckets = room / WAYS;
	return p;
}

void
audit_pairs_free(struct audit_pairs *p)
{
	free(p);
}

/* Texts that are too long are told apart by what fits. */
static uint64_t
hash_of(const struct audit_pairs *p, const char *client, uint16_t port,
    const char *recipient)
{
	size_t len = strlen(recipient);
	char text[KEY_MAX];

	recipient = address_inside(recipient, &len);
	int n = snprintf(text, sizeof(text), "%s\n%u\n%.*s", client, port,
	    len > 512 ? 512 : (int)len, recipient);
	uint64_t hash = siphash(
	    p->key, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);

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
	bool told = *key->recipient != '\0';
	uint64_t hash =
	    hash_of(p, key->client, told ? key->port : 0, key->recipient);
	struct slot *bucket = bucket_of(p, hash), *s = bucket;

	for (int i = 1; i < WAYS && s->hash != 0; i++)
		if (bucket[i].hash == 0 || bucket[i].at_ms < s->at_ms)
			s = &bucket[i];
	*s = (struct slot){ .hash = hash, .at_ms = at_ms, .pair = *pair };
	s->pair.client_only = !told;
}

static struct slot *
newest(struct audit_pairs *p, uint64_t hash, int64_t at_ms)
{
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
		s = newest(p,
		    hash_of(p, key->client, key->port, key->recipient), at_ms);
	if (s == NULL)
		s = newest(
		    p, hash_of(p, key->client, 0, key->recipient), at_ms);
	if (s == NULL)
		s = newest(p, hash_of(p, key->client, 0, ""), at_ms);
	*pair_r = (struct audit_pair){ .number = 0 };
	if (s != NULL) {
		*pair_r = s->pair;
		s->hash = 0;
	}
	pair_r->found = s != NULL;
	return pair_r->found;
}
