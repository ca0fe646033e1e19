/* SPDX-License-Identifier: ISC */
/* late - lines that a syslog daemon still writes to a file that was rotated, or
 * that somebody is copying: each counts once, and not in both files. */
#ifndef POPGATE_LATE_H
#define POPGATE_LATE_H

#include <stdbool.h>

#include "common/records/line.h"

struct follow;

/* For one reading of a file. */
struct late {
	struct follow *f;
	int i; /* of f->prev, the file that is read; not for shadows */
	line_fn *fn; /* takes the lines that count */
	void *arg;
	bool waits; /* set: the next line waits for a newer file to be read */
	bool changed; /* set: cur is not what it was */
};

/* A line of a file before cur. A line that cur, or a newer file than this one,
 * has at the same place is theirs: it waits until it has been read there, and
 * then is passed over. When cur is cut off meanwhile, this file may be the copy
 * that was made of it before: then late->changed, and it must be found out anew
 * which lines are late. arg is a struct late; returns as a line_fn. */
bool late_line(void *arg, const struct line *line);

/* A line of cur, while that may be a copy in the making of a file that was
 * read: what was read there is passed over. As late_line(). */
bool late_shadow_line(void *arg, const struct line *line);

#endif
