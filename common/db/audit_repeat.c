/* SPDX-License-Identifier: ISC */
#include "common/db/audit_repeat.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/addr.h"
#include "common/base/siphash.h"

/* Refusals that may be told apart at a time; more share a place, and each
 * change of place costs a row. */
enum { SLOTS = 8192, NAME_MAX_LEN = 64 };

struct repeats {
	uint64_t key[2]; /* no client may choose which place it takes */
	struct repeat *more;
	struct repeat slot[SLOTS];
};

struct repeats *
repeats_new(void)
{
	struct repeats *r = calloc(1, sizeof(*r));

	if (r != NULL &&
	    getrandom(r->key, sizeof(r->key), 0) != (ssize_t)sizeof(r->key)) {
		free(r);
		r = NULL;
	}
	return r;
}

void
repeats_free(struct repeats *r)
{
	free(r);
}

static void
copy(char *to, const char *from)
{
	size_t n = strnlen(from, NAME_MAX_LEN - 1);

	memcpy(to, from, n);
}

static uint64_t
hash_of(const struct repeats *r, const struct repeat_key *key)
{
	struct {
		char client[NAME_MAX_LEN];
		char auth_user[NAME_MAX_LEN], login_user[NAME_MAX_LEN];
		int verdict, reason, channel;
	} k;
	struct addr addr;
	char text[NETWORK_TEXT_MAX];

	memset(&k, 0, sizeof(k));
	if (addr_parse_loose(key->client, &addr) && addr.family == ADDR_IPV6) {
		const struct network net = network_of(&addr, 64);

		copy(k.client, network_format(&net, text));
	} else {
		copy(k.client, key->client);
	}
	copy(k.auth_user, key->auth_user);
	copy(k.login_user, key->login_user);
	k.verdict = (int)key->verdict;
	k.reason = (int)key->reason;
	k.channel = key->channel;
	uint64_t h = siphash(r->key, &k, sizeof(k));

	return h == 0 ? 1 : h;
}

struct repeat *
repeats_find(struct repeats *r, const struct repeat_key *key, int64_t at_ms)
{
	uint64_t h = hash_of(r, key);
	struct repeat *p = &r->slot[h % SLOTS];
	bool over = p->hash != h || at_ms - p->began_ms >= REPEAT_MS ||
	    at_ms < p->began_ms - REPEAT_MS;

	assert(key->client != NULL);
	if (!over)
		return p;
	if (p->more > 0)
		return NULL;
	*p = (struct repeat){ .hash = h, .began_ms = at_ms };
	return p;
}

void
repeats_count(struct repeats *r, struct repeat *p, int64_t at_ms)
{
	assert(p->hash != 0 && p->id != 0);
	if (p->more++ == 0) {
		p->next = r->more;
		r->more = p;
	}
	p->last_ms = at_ms;
}

struct repeat *
repeats_take(struct repeats *r)
{
	struct repeat *p = r->more;

	assert(p == NULL || p->more > 0);
	if (p != NULL)
		r->more = p->next;
	return p;
}

void
repeats_forget(struct repeats *r)
{
	r->more = NULL;
	memset(r->slot, 0, sizeof(r->slot));
}
