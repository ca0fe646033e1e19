/* SPDX-License-Identifier: ISC */
/* handoff_audited - messages whose relayed recipients are all in the audit, on
 * disk, by what the permit channel recorded: the milter, which sees the same
 * message a moment later, needn't wait for the disk again. Threads: any. */
#ifndef POPGATE_HANDOFF_AUDITED_H
#define POPGATE_HANDOFF_AUDITED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"

/* The relayed recipients of one message, in any order. Zero it. */
struct handoff_recipients {
	uint64_t n, sum;
};

/* Add one, with or without <>. */
void handoff_audited_add(struct handoff_recipients *r, const char *recipient);

/* Remember that the rows of all these recipients of this client's message are
 * on disk. */
void handoff_audited_give(const struct handoff_recipients *r,
    const struct addr *client, const char *queue_id);

/* Are the rows of exactly these recipients on disk? True once only. false may
 * also mean that it was forgotten. */
bool handoff_audited_take(const struct handoff_recipients *r,
    const struct addr *client, const char *queue_id);

#endif
