/* SPDX-License-Identifier: ISC */
/* audit_repeat - which refused recipients are only counted: a client that is
 * refused for the same reason again and again gets a few whole rows a minute,
 * and then one that counts. Pure; for one thread, the audit's writer. */
#ifndef POPGATE_AUDIT_REPEAT_H
#define POPGATE_AUDIT_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/records/decision.h"

enum { REPEAT_ROWS = 10, REPEAT_MS = 60000 };

/* Two refusals are the same when all of this is equal. */
struct repeat_key {
	const char *client; /* as text; an IPv6 network of 64 bits is one */
	const char *auth_user, *login_user;
	enum verdict verdict;
	enum reason reason;
	int channel;
};

/* One kind of refusal within its minute. */
struct repeat {
	uint64_t hash; /* 0: free */
	int64_t began_ms;
	unsigned rows; /* whole ones so far */
	int64_t id; /* of the row that counts; 0: none yet */
	/* counted since it was last written */
	int64_t more, last_ms;
	struct repeat *next; /* of those with more */
};

struct repeats; /* opaque */

/* NULL when memory is short, or there is no randomness. */
struct repeats *repeats_new(void);
void repeats_free(struct repeats *r);

/* Where a refusal belongs. NULL: another one that has its place wants to be
 * written first: repeats_take() until there is none, and ask again. */
struct repeat *
repeats_find(struct repeats *r, const struct repeat_key *key, int64_t at_ms);

/* Count one into the row of p. */
void repeats_count(struct repeats *r, struct repeat *p, int64_t at_ms);

/* The next that has more to be written, taken from the list: add its more to
 * the row and make that 0. NULL: there is none. */
struct repeat *repeats_take(struct repeats *r);

/* Forget all: the rows that count aren't there any more. */
void repeats_forget(struct repeats *r);

#endif
