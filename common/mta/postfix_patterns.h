/* SPDX-License-Identifier: ISC */
/* postfix_patterns - a regexp_table(5) or pcre_table(5) of Postfix, asked in
 * this process: which keys does it have an answer for? Constant once made: any
 * number of threads may ask it. */
#ifndef POPGATE_POSTFIX_PATTERNS_H
#define POPGATE_POSTFIX_PATTERNS_H

#include <stdbool.h>

struct err;
struct postfix_patterns;

/* Compile the text of a table.
 *   pcre  a pcre table; else regexp
 * Returns NULL with err when memory is short, or a line isn't understood as
 * Postfix surely would: ask postmap(1) then. */
struct postfix_patterns *
postfix_patterns_new(const char *text, bool pcre, struct err *err);
void postfix_patterns_free(struct postfix_patterns *p); /* NULL-safe */

/* 1: a rule matches key, 0: none does, -1: can't be told (an expression that
 * takes too many steps). */
int postfix_patterns_match(const struct postfix_patterns *p, const char *key);

#endif
