/* SPDX-License-Identifier: ISC */
/* gateway - a recipient that names a foreign domain in its local part, for a
 * pattern that makes an address of it, as "user-at-domain@ours". Pure. */
#ifndef POPGATE_GATEWAY_H
#define POPGATE_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>

/* A text that a regular expression matches: "user" and the domain (swapped: the
 * other way round) for its first two wildcards, "x" for the others. It ends in
 * front of an "@" behind which anything may stand: that is for a domain of ours.
 * False where nothing stands between the two, or the expression isn't plain. */
bool gateway_regex(const char *regex, bool swapped, const char *domain,
    char *buf, size_t size);

/* The same for the left side of a rule of Sendmail's.
 *   ours  stands for the members of a class, and for a domain that is missing
 */
bool gateway_rule(const char *lhs, bool swapped, const char *domain,
    const char *ours, char *buf, size_t size);

#endif
