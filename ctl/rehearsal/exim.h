/* SPDX-License-Identifier: ISC */
/* exim - the rehearsal of an Exim: what a stranger can send through it, asked
 * of Exim itself on a private copy, and why. */
#ifndef POPGATE_REHEARSAL_EXIM_H
#define POPGATE_REHEARSAL_EXIM_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct err;

struct exim_rehearsal_spec {
	const char *program; /* NULL: the usual places */
	const char *file; /* that Exim reads */
	const struct config *popgate; /* NULL: the copy has none */
	int budget_ms; /* for all dialogues of the search; 0: a minute */
};

/* One thing that a dialogue has shown. Strings are owned. */
struct exim_finding {
	const char *kind; /* finding_kinds[].id */
	char *file;
	unsigned line; /* 0: not known */
	char *detail; /* the dialogue, and why Exim took it */
	char *fix; /* tried on a copy; NULL: none is known */
};

struct exim_rehearsal {
	struct exim_finding *v;
	size_t n;
	size_t dialogues; /* that were held */
	unsigned statements; /* of ACLs that any of them reached */
	bool complete; /* within the time */
};

/* 0, or -1 with err: there is no rehearsal here (no root, no namespaces), or
 * Exim doesn't start. Release r after 0. Takes seconds. */
int exim_rehearse(const struct exim_rehearsal_spec *spec,
    struct exim_rehearsal *r, struct err *err);
void exim_rehearsal_release(struct exim_rehearsal *r);

#endif
