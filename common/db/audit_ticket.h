/* SPDX-License-Identifier: ISC */
/* audit_ticket - which of the tickets that the audit gave are written, on disk,
 * or lost. Pure; the caller locks. Used by audit.c only. */
#ifndef POPGATE_AUDIT_TICKET_H
#define POPGATE_AUDIT_TICKET_H

#include "common/db/audit.h"

enum { LOST_RANGES = 64 };

struct audit_tickets {
	uint64_t submitted; /* newest ticket given */
	uint64_t taken; /* newest ticket in the writer's hands */
	uint64_t written; /* all tickets up to this are committed, or lost */
	uint64_t durable; /* all up to this are on disk, or lost */
	/* Ranges of tickets that were lost, oldest first, with from and to
	 * among them. Never forgotten: a message may take hours. When there are
	 * too many, the two oldest become one with all that lies between: to
	 * call a good ticket lost is safe (the message is tried again), the
	 * other way round it would not be. */
	struct lost_range {
		uint64_t from, to;
	} lost[LOST_RANGES];
	unsigned n_lost;
};

/* The tickets from first to last are lost, and none behind last is. first >
 * last: no ticket is. */
void tickets_lose(struct audit_tickets *t, uint64_t first, uint64_t last);

/* The worst of the tickets from first to last; last 0 is a lost one. */
enum audit_state
tickets_state(const struct audit_tickets *t, uint64_t first, uint64_t last);

/* Has the ticket come to its end: is it on disk, or lost? */
bool tickets_settled(const struct audit_tickets *t, uint64_t ticket);

#endif
