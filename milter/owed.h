/* SPDX-License-Identifier: ISC */
/* owed - messages of which the permit channel permitted recipients, whose rows
 * are written but perhaps not on disk yet: the MTA promised to ask again at
 * DATA, and there the channel waits for the disk, once for all recipients.
 * Threads: one, the permit channel's, but where said. */
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

/* The message of that name; NULL: nothing is owed, if owed_would_know(). */
struct owed *owed_find(const char *name);

/* Unix ms at which the message of that name began, at the latest: Postfix
 * writes it into the name ("%x.%lx.%lx.%x": process, seconds, microseconds,
 * and a number). INT64_MAX: the name isn't of that form. Pure. */
int64_t owed_began_ms(const char *name);

/* Has nothing been forgotten since at_ms (Unix ms), when a message began? */
bool owed_would_know(int64_t at_ms);

/* Find the message of that name, or make it. NULL when the name is empty or too
 * long, memory is short, or there are OWED_MAX already that can't be forgotten:
 * then the caller has to wait at RCPT. */
struct owed *owed_get(const char *name, int64_t now_ms);

/* Add a recipient of m, whose row has this ticket; not 0. */
void owed_add(struct owed *m, uint64_t ticket, const char *recipient);

/* The client gave that message up: nobody asks about it at DATA. Any thread. */
void owed_give_up(const char *name);

/* Was it given up lately? True once. */
bool owed_given_up(const char *name);

/* Forget all. */
void owed_free(void);

#endif
