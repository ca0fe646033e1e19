/* SPDX-License-Identifier: ISC */
/* progress - how far a rehearsal is, in one line of a terminal: said when it
 * takes longer than a moment, and wiped out at its end. One thread. */
#ifndef POPGATE_PROGRESS_H
#define POPGATE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
	FILE *to; /* NULL: it is said to nobody */
	const char *title; /* "Postfix" */
	int64_t begun_ms, told_ms; /* by clock_monotonic_ms() */
	bool shown;
};

/* Begin; on standard error, if that is a terminal. title is borrowed. */
void progress_begin(struct progress *p, const char *title);

/* Tell how many recipients were asked about; what: the part that is at work, or
 * NULL. Cheap: it may be called after every one. */
void progress_tell(struct progress *p, const char *what, size_t recipients);

/* Wipe it out. */
void progress_end(struct progress *p);

#endif
