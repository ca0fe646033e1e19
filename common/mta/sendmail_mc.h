/* SPDX-License-Identifier: ISC */
/* sendmail_mc - the macro calls of a sendmail.mc, as m4 meets them: what is
 * behind dnl or in quotes is none. Pure. */
#ifndef POPGATE_SENDMAIL_MC_H
#define POPGATE_SENDMAIL_MC_H

#include <stdbool.h>
#include <stddef.h>

/* NAME(`arg', `arg') at the top level of a file; borrowed from its text. */
struct sendmail_call {
	const char *name, *args, *end; /* args: behind "("; end: behind ")" */
	size_t name_len;
	unsigned line, last_line; /* of the name, and of ")"; from 1 */
};

/* Find the next call at or behind *at in text; *at and *line (both begin as
 * text and 1) move behind it. Returns false when there is none. */
bool
sendmail_mc_next(const char **at, unsigned *line, struct sendmail_call *call);

/* Is it a call of name? */
bool sendmail_mc_is(const struct sendmail_call *call, const char *name);

/* Argument n (from 0) without leading space and without quotes, into buf, cut
 * to fit. Returns false when there is no such argument. */
bool sendmail_mc_arg(
    const struct sendmail_call *call, unsigned n, char *buf, size_t size);

#endif
