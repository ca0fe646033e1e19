/* SPDX-License-Identifier: ISC */
/* permit - the permit channel: answers a closed MTA that asks whether it may
 * relay. One thread, any number of connections; never blocks on the disk. */
#ifndef POPGATE_PERMIT_H
#define POPGATE_PERMIT_H

#include "milter/protocol.h"

struct err;

/* Serve this listening socket (listen_open()), which is owned from now on. At
 * most two; before permit_start(). 0, or -1 with err. */
int permit_listen(int fd, enum protocol_kind kind, struct err *err);

/* For sockets_keep(): a listening socket was made again under its number. */
void permit_moved(void *arg);

enum { PERMIT_CONNECTIONS_MAX = 2000 };

/* How many connections may be open; before permit_start(). */
void permit_limit(unsigned max);

/* Connections get descriptors from this number on, as long as there are such.
 * Any thread. */
void permit_numbers(int from);

/* Connections that are open now. Any thread. */
unsigned permit_connections(void);

/* Start the thread. 0, or -1 with err. */
int permit_start(struct err *err);

/* Send the replies that wait for the disk, close all connections and end the
 * thread. Nothing when it was never started. */
void permit_stop(void);

/* For audit_options.committed: wakes the thread. Any thread. */
void permit_committed(void *arg);

#endif
