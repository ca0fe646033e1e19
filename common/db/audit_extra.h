/* SPDX-License-Identifier: ISC */
/* audit_extra - what a transaction of the audit holds besides rows: how many
 * recipients of our own were counted, and breaches. The caller locks. Used by
 * audit.c only. */
#ifndef POPGATE_AUDIT_EXTRA_H
#define POPGATE_AUDIT_EXTRA_H

#include "common/db/audit_row.h"

/* All zero: nothing. */
struct audit_extra {
	uint64_t tallies[3][REASONS]; /* by enum audit_channel */
	struct breach *breaches; /* oldest first; owned */
	unsigned n_breaches;
};

bool audit_extra_any(const struct audit_extra *e);

/* The breach is e's now. */
void audit_extra_add(struct audit_extra *e, struct breach *breach);

/* All that is in e, which is empty then. */
struct audit_extra audit_extra_take(struct audit_extra *e);

/* The transaction failed: add what was taken before to what has come since.
 * taken is empty then. */
void audit_extra_give_back(struct audit_extra *e, struct audit_extra *taken);

#endif
