/* SPDX-License-Identifier: ISC */
#include "common/grammar/pairs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 8, CAPACITY_MAX = 1000000 };

struct pair {
	char host[PAIRS_HOST_MAX];
	size_t host_len;
	unsigned server;
	int64_t pid; /* -1: free */
	uint64_t age; /* of struct pairs when opened */
	int64_t at;
	struct addr client;
};

struct pairs {
	size_t buckets; /* a power of two */
	uint64_t age; /* counts up with each change */
	struct pair pair[]; /* buckets * WAYS */
};

struct pairs *
pairs_new(size_t capacity)
{
	struct pairs *pairs;
	size_t buckets = 1;

	assert(capacity > 0 && capacity <= CAPACITY_MAX);
	while (buckets * WAYS < capacity)
		buckets *= 2;
	pairs =
	    calloc(1, sizeof(*pairs) + buckets * WAYS * sizeof(pairs->pair[0]));
	if (pairs == NULL)
		return NULL;
	pairs->buckets = buckets;
	for (size_t i = 0; i < buckets * WAYS; i++)
		pairs->pair[i].pid = -1;
	return pairs;
}

void
pairs_free(struct pairs **pairs)
{
	if (pairs == NULL)
		return;
	free(*pairs);
	*pairs = NULL;
}

/* Process ids count up, so their low bits spread best of all. */
static struct pair *
bucket_of(struct pairs *pairs, const struct pair_key *key)
{
	size_t slot =
	    ((size_t)key->pid + (size_t)key->server * 7) & (pairs->buckets - 1);

	return &pairs->pair[slot * WAYS];
}

static bool
key_usable(const struct pair_key *key)
{
	return key->pid >= 0 && key->host_len <= PAIRS_HOST_MAX;
}

static struct pair *
pair_find(struct pairs *pairs, const struct pair_key *key)
{
	struct pair *pair;

	if (!key_usable(key))
		return NULL;
	pair = bucket_of(pairs, key);
	for (int i = 0; i < WAYS; i++, pair++) {
		if (pair->pid == key->pid && pair->server == key->server &&
		    pair->host_len == key->host_len &&
		    (key->host_len == 0 ||
			memcmp(pair->host, key->host, key->host_len) == 0))
			return pair;
	}
	return NULL;
}

void
pairs_open(struct pairs *pairs, const struct pair_key *key,
    const struct addr *client, int64_t at)
{
	struct pair *pair = pair_find(pairs, key);

	if (!key_usable(key))
		return;
	if (pair == NULL) {
		struct pair *way = bucket_of(pairs, key);

		pair = way;
		for (int i = 0; i < WAYS; i++, way++) {
			if (way->pid == -1) {
				pair = way;
				break;
			}
			if (way->age < pair->age)
				pair = way;
		}
	}
	if (key->host_len > 0)
		memcpy(pair->host, key->host, key->host_len);
	pair->host_len = key->host_len;
	pair->server = key->server;
	pair->pid = key->pid;
	assert(key->host_len <= sizeof(pair->host));
	pair->age = ++pairs->age;
	pair->at = at;
	pair->client = *client;
}

static void
release(struct pairs *pairs, struct pair *pair)
{
	assert(pair->pid >= 0);
	pair->pid = -1;
	pairs->age++;
}

bool
pairs_take(struct pairs *pairs, const struct pair_key *key, int64_t at,
    int64_t max_age_s, struct addr *client_r)
{
	struct pair *pair = pair_find(pairs, key);

	assert(max_age_s >= 0);
	if (pair == NULL)
		return false;
	release(pairs, pair);
	if (at < pair->at || at - pair->at > max_age_s)
		return false;
	*client_r = pair->client;
	return true;
}

void
pairs_forget(struct pairs *pairs, const struct pair_key *key)
{
	struct pair *pair = pair_find(pairs, key);

	if (pair != NULL)
		release(pairs, pair);
}

bool
pairs_each(const struct pairs *pairs,
    bool (*fn)(void *arg, const struct pair_key *key, const struct addr *client,
	int64_t at),
    void *arg)
{
	for (size_t i = 0; i < pairs->buckets * WAYS; i++) {
		const struct pair *pair = &pairs->pair[i];
		const struct pair_key key = { .host = pair->host,
			.host_len = pair->host_len,
			.server = pair->server,
			.pid = pair->pid };

		if (pair->pid != -1 && !fn(arg, &key, &pair->client, pair->at))
			return false;
	}
	return true;
}

uint64_t
pairs_changes(const struct pairs *pairs)
{
	return pairs->age;
}
