/* SPDX-License-Identifier: ISC */
/* doors - the sockets of the servant: where it listens, and its way to the
 * machine. */
#ifndef POPGATE_DOORS_H
#define POPGATE_DOORS_H

#include "common/base/addr.h"

struct err;

/* Each gives a close-on-exec descriptor, or -1 with errno. The ones that are
 * bound don't block, and listen when type is SOCK_STREAM. */

/* A Unix socket for everybody at path, whose directory is made; -1 with errno,
 * or with err where err holds a code. */
int door_unix(const char *path, int type, struct err *err);

/* At an address that may be anybody's. */
int door_inet(const struct addr *addr, unsigned port, int type);

/* A connection to a port of the machine's own loopback, in which sending gives
 * up after some seconds.
 *   machine, room  network namespaces: the machine's, and this process's */
int door_machine(int machine, int room, unsigned port);

#endif
