/* SPDX-License-Identifier: ISC */
/* postfix_copy - a Postfix in the room (room.h): which directories are its
 * own, how it is started, and where its services listen. */
#ifndef POPGATE_POSTFIX_COPY_H
#define POPGATE_POSTFIX_COPY_H

#include <stdbool.h>

#include "common/base/addr.h"
#include "common/mta/postfix_conf.h"

struct err;

struct postfix_copy {
	const char *dir; /* of its configuration; borrowed */
	struct postfix_conf pf; /* as it is after the edits */
};

/* Cover the directories of the instance, and those of all others that the
 * machine has, by copies and empty ones. 0, or -1 with err. */
int postfix_copy_make(const char *dir, struct err *err);

/* Have it send no notices of its own: none may reach a mailbox of the
 * machine's. Behind all edits. 0, or -1 with err. */
int postfix_copy_quiet(const char *dir, struct err *err);

/* Read its configuration as it is now. 0, or -1 with err. */
int
postfix_copy_read(struct postfix_copy *copy, const char *dir, struct err *err);

/* Start it and wait until it listens. 0, or -1 with err: what it complained
 * about.
 *   log  a descriptor for its standard error */
int
postfix_copy_start(const struct postfix_copy *copy, int log, struct err *err);

/* Where a client of this address would reach a service: see stage_say(). 0,
 * or -1 with err.
 *   own    the machine's addresses
 *   tls_r  it speaks TLS from the first byte */
int postfix_copy_where(const struct postfix_copy *copy,
    const struct network_set *own, const char *service,
    const struct addr *client, struct addr *to_r, unsigned *port_r, bool *tls_r,
    struct err *err);

#endif
