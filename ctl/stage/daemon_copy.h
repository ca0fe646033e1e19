/* SPDX-License-Identifier: ISC */
/* daemon_copy - a mail server in the room (room.h) that is one daemon, as
 * Sendmail and Exim are: its program in the foreground, and where it
 * listens. */
#ifndef POPGATE_DAEMON_COPY_H
#define POPGATE_DAEMON_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/addr.h"

struct err;

enum { LISTENERS_MAX = 32, LISTENER_NAME_MAX = 64 };

/* A copy's limit of Received lines, where it can be set: no more than an
 * ordinary message may have, so that one above it looks like any other. */
enum { DAEMON_COPY_HOPS = 10 };

struct listener {
	char name[LISTENER_NAME_MAX]; /* "MTA-v4", or "" */
	struct addr addr; /* ADDR_NONE: any of its family */
	enum addr_family family; /* ADDR_NONE: both */
	unsigned port;
	bool tls; /* from the first byte */
};

struct daemon_copy {
	struct listener v[LISTENERS_MAX];
	size_t n;
};

/* false: there is no room, or port is 0. */
bool daemon_copy_add(struct daemon_copy *copy, const struct listener *listener);

/* The port of a number or a name of services(5); 0: there is none. */
unsigned daemon_copy_port(const char *name);

/* Start argv (argv[0] is a path) with its output going to log, and wait until
 * all listeners take connections: 0, or -1 with err when it ends or is too
 * late.
 *   own  the machine's addresses */
int daemon_copy_start(const struct daemon_copy *copy, const char *const *argv,
    const struct network_set *own, int log, int timeout_ms, struct err *err);

/* Where a client of this address would reach a service: "25", "smtp", or the
 * name of a listener. 0, or -1 with err. */
int
daemon_copy_where(const struct daemon_copy *copy, const struct network_set *own,
    const char *service, const struct addr *client, struct addr *to_r,
    unsigned *port_r, bool *tls_r, struct err *err);

#endif
