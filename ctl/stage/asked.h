/* SPDX-License-Identifier: ISC */
/* asked - which servers a Postfix asks that aren't part of it: other milters,
 * policy services, auth servers, socketmaps, proxy filters; from its
 * configuration, in a room (room.h). */
#ifndef POPGATE_ASKED_H
#define POPGATE_ASKED_H

#include <stddef.h>

#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_endpoint.h"
#include "ctl/stage/standin.h"

enum { ASKED_MAX = 64 };

struct asked {
	enum standin_kind kind;
	struct postfix_endpoint named; /* as the configuration names it */
	char path[POSTFIX_PATH_MAX]; /* of a Unix socket: on this machine */
};

/* Each once, at most ASKED_MAX; popgate's own sockets and what master(8)
 * serves are not among them. Returns how many. */
size_t asked_of(const struct postfix_conf *pf, struct asked *v);

#endif
