/* SPDX-License-Identifier: ISC */
/* edit_plan - edits of a mail server's configuration files as text, and notes
 * on them: the plan of a wiring of Sendmail or Exim. Pure. */
#ifndef POPGATE_EDIT_PLAN_H
#define POPGATE_EDIT_PLAN_H

#include <stdbool.h>
#include <stddef.h>

/* The lines of old, which begin at line (from 1; one more than the file has: at
 * its end), become the lines of text. Both end in a newline each. */
struct edit {
	char *file;
	unsigned line;
	char *old; /* "": text is inserted before line; NULL: a new file */
	char *text; /* "": the lines are removed */
	char *why; /* one sentence */
};

struct edit_note {
	int kind; /* an enum of the mail server's */
	char *file;
	unsigned line; /* 0: the file as a whole */
	char *text; /* one sentence */
};

/* All strings are owned. All zero: nothing is to be done. */
struct edit_plan {
	struct edit *edits; /* in the order of files and lines, once sorted */
	size_t n_edits;
	struct edit_note *notes;
	size_t n_notes;
};

/* Add to the plan, which copies the strings. Return false when memory is short.
 */
bool edit_plan_add(struct edit_plan *plan, const char *file, unsigned line,
    const char *old, const char *text, const char *why);
bool edit_plan_note(struct edit_plan *plan, int kind, const char *file,
    unsigned line, const char *text);

/* Edits by file and line; those at one place stay in their order. */
void edit_plan_sort(struct edit_plan *plan);

/* The text of a file after the plan's edits of it, which are sorted.
 *   old  the text that it holds; NULL: nothing
 * Returns a string to be freed, or NULL when memory is short. */
char *edit_plan_apply(
    const struct edit_plan *plan, const char *file, const char *old);

void edit_plan_release(struct edit_plan *plan);

/* The begin of line n (from 1); the text's end when it has fewer. */
const char *edit_line(const char *text, unsigned n);
unsigned edit_lines(const char *text);

#endif
