/* SPDX-License-Identifier: ISC */
/* permit_pending - messages of which the permit channel permitted recipients,
 * whose rows are written but perhaps not on disk yet: the MTA promised to ask
 * again at DATA, and there the channel waits for the disk, once for all
 * recipients. Threads: one, the permit channel's, but where said. */
#ifndef POPGATE_PERMIT_PENDING_H
#define POPGATE_PERMIT_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/db/audit.h"
#include "milter/handoff_audited.h"

enum { PERMIT_PENDING_NAME_MAX = 64, PERMIT_PENDING_MAX = 8192 };

struct permit_pending {
	struct permit_pending *same_bucket;
	struct permit_pending *older, *newer;
	char name[PERMIT_PENDING_NAME_MAX]; /* Postfix's instance */
	uint64_t first, last; /* audit tickets */
	struct handoff_recipients recipients;
	bool asked; /* at DATA */
	int64_t used_ms;
};

/* state tells how it stands with the rows of the tickets from first to last:
 * gate_ticket_range(), or a test's function. Before all others. */
void permit_pending_init(
    enum audit_state (*state)(uint64_t first, uint64_t last));

/* The message of that name. NULL: no rows of it are known; there are none for
 * certain only if permit_pending_would_know() of its begin. */
struct permit_pending *permit_pending_find(const char *name);

/* Unix ms at which the message of that name began, at the latest: Postfix
 * writes it into the name ("%x.%lx.%lx.%x": process, seconds, microseconds,
 * and a number). INT64_MAX: the name isn't of that form. Pure. */
int64_t permit_pending_began_ms(const char *name);

/* Has nothing been forgotten since at_ms (Unix ms), when a message began? */
bool permit_pending_would_know(int64_t at_ms);

/* Find the message of that name, or make it. NULL when the name is empty or too
 * long, memory is short, or there are PERMIT_PENDING_MAX already that can't be
 * forgotten: then the caller has to wait at RCPT. */
struct permit_pending *permit_pending_get(const char *name, int64_t now_ms);

/* Add a recipient of m, whose row has this ticket; not 0. */
void permit_pending_add(
    struct permit_pending *m, uint64_t ticket, const char *recipient);

/* The client gave that message up: nobody asks about it at DATA. Any thread. */
void permit_pending_give_up(const char *name);

/* Was it given up lately? True once. */
bool permit_pending_given_up(const char *name);

/* Forget all. */
void permit_pending_free(void);

#endif
