/* SPDX-License-Identifier: ISC */
/* exim_plan - texts that the plan of Exim's wiring inserts, as they grow, and
 * the kinds of its notes. Pure. */
#ifndef POPGATE_EXIM_PLAN_H
#define POPGATE_EXIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mta/edit_plan.h"
#include "common/mta/exim_text.h"

enum exim_note_kind {
	EXIM_ASKED_FOR_ALL, /* popgate is asked for our own recipients, too */
};

/* Text that grows; .v is NULL when memory was short. */
struct exim_draft {
	char *v;
	size_t n;
};

struct exim_draft exim_draft_begin(void);
void exim_draft_put(struct exim_draft *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Add to the plan: put text, whole lines, in front of a line of a file. Takes
 * text. Returns false when memory is short. */
bool exim_plan_insert(struct edit_plan *plan, const struct exim_file *file,
    unsigned line, struct exim_draft text, const char *why);

#endif
