/* SPDX-License-Identifier: ISC */
/* sendmail_cf - the lines of a sendmail.cf: what each is, in which rule set.
 * Pure. */
#ifndef POPGATE_SENDMAIL_CF_H
#define POPGATE_SENDMAIL_CF_H

#include <stdbool.h>
#include <stddef.h>

struct sendmail_line {
	unsigned line; /* where it begins */
	char kind; /* its first character: C F K O R X ... */
	const char *ruleset; /* of rules ("R"); else "" */
	char *text; /* behind that character; continuations joined */
};

struct sendmail_cf {
	char *text; /* owned; all strings are in it */
	struct sendmail_line *v;
	size_t n;
};

/* Take over text and split it. Returns false when memory is short. */
bool sendmail_cf_parse(char *text, struct sendmail_cf *cf);
void sendmail_cf_release(struct sendmail_cf *cf);

/* The name of "w...", "{VirtHost}..." into buf of SENDMAIL_NAME_MAX; returns
 * what stands behind. */
enum { SENDMAIL_NAME_MAX = 64 };
char *sendmail_name(char *text, char *buf);

/* The file's name in "Fw/path", "Fw-o /path %[^\#]": cuts text after the first
 * word that is no flag and returns it. A class comes from a file only when that
 * begins with '/'. */
char *sendmail_class_file(char *text, bool *optional_r);

/* "O InputMailFilters=x": does the text of an O line set this option? Returns
 * its value, or NULL. */
const char *sendmail_option(const char *text, const char *name);

/* "Name=MTA, Port=25, InputMailFilters=a;b": the value of one of the equates,
 * by its first letter, as Sendmail takes them, into buf. Returns false when it
 * isn't there. */
bool sendmail_equate(const char *text, char letter, char *buf, size_t size);

/* Is the filter of that name in a value of InputMailFilters ("a; b, c")? */
bool sendmail_lists_filter(const char *list, const char *name);

#endif
