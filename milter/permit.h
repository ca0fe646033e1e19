/* permit - the permit channel: answers a closed MTA that asks whether it may
 * relay. One thread, any number of connections; never blocks on the disk. */
#ifndef POPGATE_PERMIT_H
#define POPGATE_PERMIT_H

#include "milter/protocol.h"

struct err;

/* Add a listening socket (listen_open()); owned from now on. Before
 * permit_start(). 0, or -1 with err. */
int permit_listen(int fd, enum protocol_kind kind, struct err *err);

/* For sockets_keep(): another socket is in the place of a listening one. */
void permit_moved(void *arg);

enum { PERMIT_CONNECTIONS_MAX = 2000 };

/* Connections that may be open; before permit_start(). */
void permit_limit(unsigned max);

/* Descriptors of connections have this number or a higher one, as long as there
 * are such. Any thread. */
void permit_numbers(int from);

/* Connections that are open now. Any thread. */
unsigned permit_connections(void);

/* Start the thread. 0, or -1 with err. */
int permit_start(struct err *err);

/* End it: replies that wait for the disk are sent yet, then all connections
 * are closed. Nothing when never started. */
void permit_stop(void);

/* For audit_options.committed: wakes the thread. Any thread. */
void permit_committed(void *arg);

#endif
