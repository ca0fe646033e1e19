/* SPDX-License-Identifier: ISC */
/* custom - a server of the admin's own: { program, pattern }, the pattern
 * being a PCRE2 regular expression over the whole message with the named
 * groups "user" and "ip".
 * Old tools lost their gate to patterns that matched anywhere in a line, so
 * one that is not tied to both ends is refused, and what matches is the whole
 * message whatever the pattern says. */
#ifndef POPGATE_CUSTOM_H
#define POPGATE_CUSTOM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/grammar/span.h"

struct err;
struct custom; /* used by one thread at a time */

enum { CUSTOM_PATTERN_MAX = 2048 }; /* bytes */

/* Compile pattern. It must begin with ^ or \A, end with an unescaped $ or \z,
 * and have no alternation outside of a group; neither "(*" verbs nor inline
 * options other than i, s and n, nor \K are taken. "$" means the very end.
 *   program  the tag, matched by equality; copied
 *   unit     for custom_unit(), copied; or NULL
 * Returns 0 and sets *custom_r, or -1 with ERR_INVALID or ERR_NOMEM. */
int custom_compile(const char *program, const char *pattern, const char *unit,
    struct custom **custom_r, struct err *err);
void custom_free(struct custom **custom); /* NULL-safe; sets NULL */

const char *custom_program(const struct custom *custom);
const char *custom_unit(const struct custom *custom); /* or NULL */

/* Match a message. On true, *user_r and *ip_r point into msg. A pattern that
 * needs too many steps for a message (MATCH_LIMIT) does not match it. */
bool custom_match(struct custom *custom, struct span msg, struct span *user_r,
    struct span *ip_r);

#endif
