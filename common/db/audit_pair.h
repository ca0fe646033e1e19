/* SPDX-License-Identifier: ISC */
/* audit_pair - which row of the permit channel and which of the milter are of
 * one recipient. The permit channel gives; the milter, which the MTA asks next
 * about the same RCPT, takes. Pure; the caller locks. */
#ifndef POPGATE_AUDIT_PAIR_H
#define POPGATE_AUDIT_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* How long (ms) a recipient may take from one channel to the other:
	 * other checks of the MTA may wait for DNS or for another server. */
	PAIR_MS = 60000,
	PAIR_SESSION_MAX = 64
};

/* By what a recipient is known to both. Strings are borrowed. */
struct audit_pair_key {
	const char *client; /* canonical text */
	uint16_t port; /* the client's; 0: not told */
	const char *recipient; /* with or without <>; "": not told */
};

/* The permit channel's row of a recipient. */
struct audit_pair {
	uint64_t number; /* of the row; 0: counted only */
	bool found; /* by audit_pairs_take() */
	bool client_only; /* it was told no recipient */
	int verdict;
	char session[PAIR_SESSION_MAX]; /* the message, as the channel names it;
					 * "": it doesn't */
};

struct audit_pairs; /* opaque */

/* Room for so many that wait, a power of two; more drive out the oldest of
 * their place. NULL when memory is short, or there is no randomness. */
struct audit_pairs *audit_pairs_new(size_t room);
void audit_pairs_free(struct audit_pairs *p);

void audit_pairs_give(struct audit_pairs *p, const struct audit_pair_key *key,
    int64_t at_ms, const struct audit_pair *pair);

/* The newest that the key fits, by what the giver was told: client, port and
 * recipient; client and recipient; or the client alone. Sets pair_r->found, and
 * takes it: each is found once. */
bool audit_pairs_take(struct audit_pairs *p, const struct audit_pair_key *key,
    int64_t at_ms, struct audit_pair *pair_r);

#endif
