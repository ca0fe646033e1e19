/* SPDX-License-Identifier: ISC */
/* postfix - the rehearsal of a Postfix: what a stranger can send through it,
 * asked of Postfix itself on a private copy, and why. */
#ifndef POPGATE_REHEARSAL_POSTFIX_H
#define POPGATE_REHEARSAL_POSTFIX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mta/postfix_conf.h"
#include "ctl/rehearsal/findings.h"

struct config;
struct err;

struct postfix_rehearsal_spec {
	const struct postfix_conf *pf; /* as it is on the machine */
	/* services of type inet that a stranger reaches, as pf has them */
	const struct postfix_service *const *services;
	size_t n_services;
	const struct config *popgate; /* NULL: the copy has none */
	bool thorough; /* many more words are said, for a quarter of an hour */
};

struct postfix_rehearsal {
	struct rehearsal_findings findings; /* each has a file */
	size_t dialogues; /* recipients that were asked about */
	size_t uncured; /* taken, and there was no time to look why */
	size_t tables; /* that its words are from */
	size_t entries, said; /* in them; those that were said */
	bool silent; /* a service gave no answer, or put off whatever it was
		      * asked */
	char why[300]; /* then: what Postfix complains about in its log; "" */
	/* something was taken at RCPT and refused behind DATA, and not all
	 * senders were asked */
	bool undecided;
	bool complete; /* within the time */
};

/* 0, or -1 with err: there is no rehearsal here (no root, no namespaces), or
 * Postfix doesn't start. Release r->findings in both cases. Takes seconds. One
 * thread.
 */
int postfix_rehearse(const struct postfix_rehearsal_spec *spec,
    struct postfix_rehearsal *r, struct err *err);

#endif
