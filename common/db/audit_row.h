/* SPDX-License-Identifier: ISC */
/* audit_row - one decision, or one breach, on its way to the disk and to the
 * log. For audit*.c only. */
#ifndef POPGATE_AUDIT_ROW_H
#define POPGATE_AUDIT_ROW_H

#include "common/db/audit.h"

/* The texts of a row, in this order. */
enum audit_text {
	T_SESSION,
	T_CLIENT,
	T_CLIENT_NAME,
	T_HELO,
	T_SENDER,
	T_RECIPIENT,
	T_AUTH_USER,
	T_LOGIN_USER,
	T_REPLY,
	T_MTA,
	T_CERTIFICATE,
	T_END, /* where the last one ends */
	AUDIT_TEXTS
};

enum audit_row_kind {
	ROW_DECISION,
	ROW_TAKING, /* audit_row_taking() */
	ROW_GIVING_UP, /* audit_row_giving_up() */
	ROW_PUTTING_OFF /* audit_row_putting_off() */
};

struct audit_row {
	struct audit_row *next, *last; /* last: only in the first of a chain */
	size_t n; /* rows of the chain, likewise */
	int64_t at_ms;
	struct decision decision;
	bool local, aborted;
	bool durable; /* see struct audit_facts */
	enum audit_row_kind kind;
	enum audit_channel channel;
	uint64_t number, takes;
	char queue_id[32];
	uint16_t offset[AUDIT_TEXTS]; /* into text */
	char text[];
};

const char *audit_row_text(const struct audit_row *row, enum audit_text t);
int audit_row_len(const struct audit_row *row, enum audit_text t);

/* Nothing came of it, so it is no evidence of a relay. In monitor mode what the
 * milter would have refused may have been relayed; what the permit channel
 * wouldn't have permitted is refused by the MTA itself. */
bool audit_row_refused(const struct audit_row *row);

/* Tell the log what came of rows, and free them.
 *   lost  they aren't on disk */
void audit_row_say(
    const struct audit_options *opt, struct audit_row **list, bool lost);

/* A breach with strings of its own. */
struct breach {
	struct breach *next;
	struct audit_breach b;
	char text[];
};

/* NULL when memory is short. */
struct breach *breach_new(const struct audit_breach *breach);
void breaches_free(struct breach *list);

#endif
