/* SPDX-License-Identifier: ISC */
/* owed - messages of which the permit channel permitted recipients, whose rows
 * are written but perhaps not on disk yet: the MTA promised to ask again at
 * DATA, and there the channel waits for the disk, once for all recipients.
 * Threads: one, the permit channel's. */
#ifndef POPGATE_OWED_H
#define POPGATE_OWED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/db/audit.h"
#include "milter/covered.h"

enum { OWED_NAME_MAX = 64, OWED_MAX = 8192 };

struct owed {
	struct owed *same_bucket;
	struct owed *older, *newer;
	char name[OWED_NAME_MAX]; /* Postfix's instance */
	uint64_t first, last; /* audit tickets */
	struct covered_recipients recipients;
	bool asked; /* at DATA */
	int64_t used_ms;
};

/* state tells how it stands with the rows of the tickets from first to last:
 * gate_ticket_range(), or a test's function. Before all others. */
void owed_init(enum audit_state (*state)(uint64_t first, uint64_t last));

/* The message of that name; NULL: nothing is owed. */
struct owed *owed_find(const char *name);

/* Find the message of that name, or make it. NULL when the name is empty or too
 * long, memory is short, or there are OWED_MAX already that can't be forgotten:
 * then the caller has to wait at RCPT. */
struct owed *owed_get(const char *name, int64_t now_ms);

/* Add a recipient of m, whose row has this ticket; not 0. */
void owed_add(struct owed *m, uint64_t ticket, const char *recipient);

/* Forget all. */
void owed_free(void);

#endif
