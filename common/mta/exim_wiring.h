/* SPDX-License-Identifier: ISC */
/* exim_wiring - what has to be put where in an Exim configuration so that it
 * asks popgate (etc/exim/closed.conf), and what stays as it is. Pure. */
#ifndef POPGATE_EXIM_WIRING_H
#define POPGATE_EXIM_WIRING_H

#include <stddef.h>

#include "common/mta/exim_source.h"

struct err;

/* What the edit names. */
struct exim_wiring_names {
	const char *policy; /* where to ask: "/path" or "inet:host:port" */
	const char *include; /* path of closed.conf */
};

/* Put text, whole lines, in front of a line of a file (from 1; one more than
 * the file has: at its end). */
struct exim_edit {
	char *file;
	unsigned line;
	char *text;
	char *why; /* one sentence */
};

enum exim_note_kind {
	EXIM_REFUSES_FIRST, /* a statement that popgate's clients don't pass */
	EXIM_ASKED_FOR_ALL, /* popgate is asked for our own recipients, too */
	EXIM_GENERATED, /* the file is written by another program */
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

/* Plan the edit of the configuration. A wired one gives no edits. Returns 0, or
 * -1 with ERR_INVALID (err says what can't be wired, and where) or ERR_NOMEM.
 * Release plan in any case. */
int exim_wiring_plan(const struct exim_source *src,
    const struct exim_wiring_names *names, struct exim_plan *plan,
    struct err *err);
void exim_plan_release(struct exim_plan *plan);

/* The text of a file with the plan's edits of it. Returns memory for the
 * caller to free; NULL when memory is short. */
char *exim_plan_apply(
    const struct exim_plan *plan, const char *file, const char *text);

#endif
