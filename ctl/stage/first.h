/* SPDX-License-Identifier: ISC */
/* first - the first process of the room, as backstage.c, which serves, and
 * first.c, which makes everything ready, share it. */
#ifndef POPGATE_FIRST_H
#define POPGATE_FIRST_H

#include "ctl/stage/daemon_copy.h"
#include "ctl/stage/gate.h"
#include "ctl/stage/postfix_copy.h"
#include "ctl/stage/servant.h"

struct err;
struct stage_spec;

struct first {
	const struct stage_spec *spec;
	int sock, log;
	int machine; /* its network namespace */
	struct stage_gate gate;
	struct postfix_copy postfix;
	struct daemon_copy daemon; /* Sendmail, Exim */
	unsigned hops; /* Received lines that it takes; 0: unknown */
	const char *own_log; /* a log file of the mail server's, or "" */
	struct servant_share *share; /* NULL: there is no servant yet */
};

/* Furnish the room, apply the edits, start popgate-milter and the mail server.
 * 0, or -1 with err. */
int first_ready(struct first *f, struct err *err);

#endif
