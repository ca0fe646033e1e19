/* SPDX-License-Identifier: ISC */
/* sendmail - the rehearsal of a Sendmail: what a stranger can send through it,
 * asked of Sendmail itself on a private copy, and why. */
#ifndef POPGATE_REHEARSAL_SENDMAIL_H
#define POPGATE_REHEARSAL_SENDMAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/rehearsal/findings.h"

struct config;
struct err;

struct sendmail_rehearsal_spec {
	const char *program; /* NULL: the usual places */
	const char *file; /* sendmail.cf */
	const struct config *popgate; /* NULL: the copy has none */
	bool thorough; /* more is said, for a quarter of an hour */
};

struct sendmail_rehearsal {
	struct rehearsal_findings findings;
	size_t tries; /* that were asked */
	bool complete; /* within the time */
};

/* 0, or -1 with err: there is no rehearsal here (no root, no namespaces), or
 * Sendmail doesn't start. Release r->findings after 0. Takes seconds. */
int sendmail_rehearse(const struct sendmail_rehearsal_spec *spec,
    struct sendmail_rehearsal *r, struct err *err);

#endif
