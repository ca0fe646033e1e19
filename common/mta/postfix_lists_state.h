/* SPDX-License-Identifier: ISC */
/* postfix_lists_state - the lists of a Postfix's own domains, as
 * postfix_lists_load.c makes them and postfix_lists.c asks them. */
#ifndef POPGATE_POSTFIX_LISTS_STATE_H
#define POPGATE_POSTFIX_LISTS_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mta/domains.h"
#include "common/mta/postfix_literals.h"
#include "common/mta/postfix_lookup.h"

enum {
	LISTS = 4,
	FILE_DEPTH_MAX = 8,
	KEYS_MAX = DOMAIN_TEXT_MAX / 2 + 1,
	NOBODIES = 3,
	NOBODY_MAX = 48,
};

/* A word of a list; names that follow each other are one. */
struct word {
	bool out; /* behind "!" */
	bool off; /* not taken: everything would be ours */
	struct postfix_lookup *lookup;
};

struct list {
	const char *setting;
	/* matches the domains below its names (relay_domains): "x" where
	 * parents does, else ".x" */
	bool below, parents;
	struct word *v;
	size_t n;
};

struct postfix_lists {
	struct list list[LISTS];
	/* domains that nobody has, and nobody can guess */
	char nobody[NOBODIES][NOBODY_MAX];
	struct postfix_literals *literals;
};

/* "com", ".com" and the like: in relay_domains it would be all of it, which
 * nobody can mean. Pure. */
bool postfix_is_top_level(const char *name);

#endif
