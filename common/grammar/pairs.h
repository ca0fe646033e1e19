/* SPDX-License-Identifier: ISC */
/* pairs - remembers which process of a two-line server serves which address,
 * until the line that names the user. Bounded: a flood of connections pushes
 * out the oldest of its bucket, so it can cost logins, never give any. */
#ifndef POPGATE_PAIRS_H
#define POPGATE_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"

struct pairs; /* used by one thread at a time */

enum { PAIRS_HOST_MAX = 64 }; /* longer host names are not paired */

struct pair_key {
	const char *host; /* borrowed; not NUL-terminated */
	size_t host_len;
	unsigned server; /* index of the grammar: one server may be
			  * several programs */
	int64_t pid;
};

/* A table for capacity pairs or a little more (1 .. 1,000,000).
 * Returns NULL when memory is short. */
struct pairs *pairs_new(size_t capacity);
void pairs_free(struct pairs **pairs); /* NULL-safe; sets NULL */

/* Remember that key serves client since at (Unix seconds). An earlier pair of
 * the same key is forgotten. A key without pid or with a long host is not
 * remembered. */
void pairs_open(struct pairs *pairs, const struct pair_key *key,
    const struct addr *client, int64_t at);

/* Take what key serves, once. Returns false when nothing is known, or when it
 * was opened later than at, or more than max_age_s seconds before. */
bool pairs_take(struct pairs *pairs, const struct pair_key *key, int64_t at,
    int64_t max_age_s, struct addr *client_r);

void pairs_forget(struct pairs *pairs, const struct pair_key *key);

/* Give fn what is open; false when fn returned false. */
bool pairs_each(const struct pairs *pairs,
    bool (*fn)(void *arg, const struct pair_key *key, const struct addr *client,
	int64_t at),
    void *arg);

/* Grows with each change. */
uint64_t pairs_changes(const struct pairs *pairs);

#endif
