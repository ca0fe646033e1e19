/* SPDX-License-Identifier: ISC */
/* exim_limits - an Exim configuration without its limits on how much one client
 * may say: a stranger has time and addresses, and the rehearsal has neither.
 * Pure. */
#ifndef POPGATE_EXIM_LIMITS_H
#define POPGATE_EXIM_LIMITS_H

/* The text with each line in its place, to be freed. NULL: there is no limit in
 * it, or no memory. */
char *exim_limits_lift(const char *text);

#endif
