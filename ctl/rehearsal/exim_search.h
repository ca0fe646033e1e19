/* SPDX-License-Identifier: ISC */
/* exim_search - dialogues that a stranger could hold, until some recipient is
 * taken that would leave.
 *
 * Each dialogue differs in one value from one that was held before. A dialogue
 * that got further in some ACL statement than any before is a new beginning: so
 * conditions that want several things at once are met one after the other. */
#ifndef POPGATE_EXIM_SEARCH_H
#define POPGATE_EXIM_SEARCH_H

#include <stdint.h>

#include "ctl/rehearsal/exim_talk.h"
#include "ctl/rehearsal/progress.h"

struct err;

enum { EXIM_HOLES_MAX = 16 };

struct exim_search {
	const struct exim_talk *talk;
	const char *config; /* as exim -bP prints it */
	int64_t until_ms; /* by clock_monotonic_ms() */

	/* what was found: each differs from the others in statement or list */
	struct exim_try holes[EXIM_HOLES_MAX];
	size_t n_holes;
	size_t dialogues;
	struct progress *progress; /* borrowed */
	unsigned statements;
	bool complete;
};

/* Fill in what was found. A hole holds no value that it can do without. 0, or
 * -1 with err. */
int exim_search(struct exim_search *s, struct err *err);

/* Is this one taken, and would it leave? 1, 0, or -1 with err. */
int exim_search_open(
    struct exim_search *s, const struct exim_try *y, struct err *err);

#endif
