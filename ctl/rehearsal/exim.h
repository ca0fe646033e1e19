/* SPDX-License-Identifier: ISC */
/* exim - the rehearsal of an Exim: what a stranger can send through it, asked
 * of Exim itself on a private copy, and why. */
#ifndef POPGATE_REHEARSAL_EXIM_H
#define POPGATE_REHEARSAL_EXIM_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/rehearsal/findings.h"

struct config;
struct err;

struct exim_rehearsal_spec {
	const char *program; /* NULL: the usual places */
	const char *file; /* that Exim reads */
	const struct config *popgate; /* NULL: the copy has none */
	bool thorough; /* more is said, for a quarter of an hour */
};

struct exim_rehearsal {
	struct rehearsal_findings findings;
	size_t dialogues; /* that were held */
	unsigned statements; /* of ACLs that any of them reached */
	bool complete; /* within the time */
};

/* 0, or -1 with err: there is no rehearsal here (no root, no namespaces), or
 * Exim doesn't start. Release r->findings after 0. Takes seconds. */
int exim_rehearse(const struct exim_rehearsal_spec *spec,
    struct exim_rehearsal *r, struct err *err);

#endif
