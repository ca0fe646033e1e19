/* SPDX-License-Identifier: ISC */
/* exim_plan - edits of Exim's configuration files as text, and what is to be
 * known of the configuration besides. Pure. */
#ifndef POPGATE_EXIM_PLAN_H
#define POPGATE_EXIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mta/exim_text.h"

/* Put text, whole lines, in front of a line of a file (from 1; one more than
 * the file has: at its end). */
struct exim_edit {
	char *file;
	unsigned line;
	char *text;
	char *why; /* one sentence */
};

enum exim_note_kind {
	EXIM_ASKED_FOR_ALL, /* popgate is asked for our own recipients, too */
};

struct exim_note {
	enum exim_note_kind kind;
	char *file;
	unsigned line;
	char *text; /* one sentence */
};

struct exim_plan {
	struct exim_edit *edits; /* by file and line */
	size_t n_edits;
	struct exim_note *notes;
	size_t n_notes;
};

/* Text that grows; .v is NULL when memory was short. */
struct exim_draft {
	char *v;
	size_t n;
};

struct exim_draft exim_draft_begin(void);
void exim_draft_put(struct exim_draft *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Add to the plan; an edit takes text. Return false when memory is short. */
bool exim_plan_edit(struct exim_plan *plan, const struct exim_file *file,
    unsigned line, struct exim_draft text, const char *why);
bool exim_plan_note(struct exim_plan *plan, enum exim_note_kind kind,
    const struct exim_file *file, unsigned line, const char *text);

/* Edits by file and line; those at one place stay in their order. */
void exim_plan_sort(struct exim_plan *plan);

void exim_plan_release(struct exim_plan *plan);

/* The text of a file with the plan's edits of it. Returns memory for the
 * caller to free; NULL when memory is short. */
char *exim_plan_apply(
    const struct exim_plan *plan, const char *file, const char *text);

#endif
