/* SPDX-License-Identifier: ISC */
/* exim_text - the lines of Exim's configuration files as Exim takes them:
 * joined, macros replaced, .ifdef and .include followed. Pure. */
#ifndef POPGATE_EXIM_TEXT_H
#define POPGATE_EXIM_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/strings.h"

/* The longest line after its macros are replaced; Exim's own limit is of that
 * order. A longer one loses its end. */
enum { EXIM_LINE_MAX = 16384 };

/* One file. Borrowed: it must outlive what was read from it. */
struct exim_file {
	const char *path, *text;
};

/* A logical line: "\\" at its end joins the next, and comments between the two
 * don't count. Neither empty nor a comment. */
struct exim_text_line {
	const struct exim_file *file;
	unsigned number, next; /* physical lines, from 1 */
	unsigned depth; /* .ifdefs around it */
	bool active; /* false: an .ifdef leaves it out */
	bool closes; /* it is an .endif; depth is that behind it */
	char raw[EXIM_LINE_MAX]; /* as it is written, without blanks around */
	char text[EXIM_LINE_MAX]; /* macros replaced */
};

struct exim_text {
	struct string_list macros; /* name, value, name ... */
	struct string_list missing; /* included, but not given */
	struct string_list includes; /* all that are included */
};

/* Read files[0..n_main), one behind the other, as Debian joins conf.d, and
 * those of the rest that they include. take() gets each line; definitions of
 * macros and other directives are done with. Returns false when memory is
 * short. Release t in any case. */
bool exim_text_read(struct exim_text *t, const struct exim_file *files,
    size_t n, size_t n_main,
    void (*take)(void *to, const struct exim_text_line *l), void *to);
void exim_text_release(struct exim_text *t);

/* Take the blanks off both ends, in place. */
char *exim_text_trim(char *text);

/* The text after word and blanks at the beginning of line; NULL when line
 * begins with another word. */
const char *exim_text_after(const char *line, const char *word);

/* The next member of a list, into buf without blanks around: separated by
 * colons ("::" is one), or as "<;" at the beginning says; *sep is 0 at first.
 * Returns false at the end. */
bool exim_member(const char **at, char *sep, char *buf, size_t size);

/* The line where the comment directly above line number begins, or number. */
unsigned exim_text_above(const struct exim_file *file, unsigned number);

#endif
