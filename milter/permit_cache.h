/* SPDX-License-Identifier: ISC */
/* permit_cache - what the permit channel answered of a recipient, for the other
 * lists of Postfix's restrictions that ask about the same RCPT a moment later:
 * so it is recorded and charged once, however many lists ask. Threads: one, the
 * permit channel's. */
#ifndef POPGATE_PERMIT_CACHE_H
#define POPGATE_PERMIT_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/records/decision.h"
#include "milter/protocol.h"

/* For how long an answer counts (ms): other checks between two of ours may wait
 * for DNS or for another server. */
enum { PERMIT_CACHE_MS = 60000 };

/* The part of a decision that the other lists need to know. */
struct permit_cache_answer {
	bool known; /* the client may relay, or might if it were asked */
	enum reason reason; /* known: why */
};

/* Was this recipient of this message answered a moment ago, and asked about by
 * another list than this one since? Then what was answered, in *answer_r. A
 * list that asks again means another RCPT: false. */
bool permit_cache_find(const struct protocol_request *req, int64_t now_ms,
    struct permit_cache_answer *answer_r);

/* Remember the answer to a request that permit_cache_find() didn't know.
 *   answer  NULL: a refusal, behind which Postfix asks no other list */
void permit_cache_add(const struct protocol_request *req, int64_t now_ms,
    const struct permit_cache_answer *answer);

/* Forget all. */
void permit_cache_clear(void);

#endif
