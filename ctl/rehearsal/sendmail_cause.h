/* SPDX-License-Identifier: ISC */
/* sendmail_cause - why a Sendmail accepts a recipient: the entry or the rules
 * without which, in the copy, it doesn't. One thread. */
#ifndef POPGATE_SENDMAIL_CAUSE_H
#define POPGATE_SENDMAIL_CAUSE_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/rehearsal/sendmail_seeds.h"
#include "ctl/rehearsal/sendmail_talk.h"

enum { SENDMAIL_CAUSE_RULES = 8 };

struct sendmail_cause {
	const struct sendmail_seed *entry; /* or NULL: rules, or nothing */
	unsigned rules[SENDMAIL_CAUSE_RULES]; /* lines of the cf, sorted */
	size_t n_rules;
	bool own; /* the rules are in a set that isn't Sendmail's */
};

/* Take out of a second configuration in the copy, which *other becomes, what
 * may be the cause, and ask again, until the client is refused.
 *   seed  what the client said came from here; NULL: from nowhere
 * false: nothing that was taken out closed it. */
bool
sendmail_cause_find(const struct sendmail_talk *t, const struct sendmail_cf *cf,
    const struct sendmail_client *client, const struct sendmail_seed *seed,
    struct sendmail_cause *c, struct sendmail_talk *other);

/* Make a second configuration from sendmail.mc without these of its lines.
 * false: it can't be made. */
bool sendmail_cause_make(const struct sendmail_talk *t, const char *mc,
    const unsigned *lines, size_t n, struct sendmail_talk *other);

/* The line of sendmail.mc that became this rule ("R..."), or that names a
 * feature or word; 0: none does. Pure. */
unsigned sendmail_cause_mc_line(const char *mc, const char *text);

#endif
