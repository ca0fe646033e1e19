/* SPDX-License-Identifier: ISC */
/* probe_net - a client's address to speak from that isn't the machine's own.
 * Without one given, a network name space of ours is joined to the machine by
 * a pair of virtual interfaces with an address of RFC 2544 (198.18.0.0/15) or
 * RFC 5180 (2001:2::/48), which nobody on any network has. It is bound to our
 * descriptor: however we die, the kernel takes all of it away. */
#ifndef POPGATE_PROBE_NET_H
#define POPGATE_PROBE_NET_H

#include "common/base/addr.h"

struct err;

/* Our end of the pair, where no source is given. */
#define PROBE_NET_SOURCE4 "198.18.255.2"
#define PROBE_NET_SOURCE6 "2001:2:0:ffff::2"

struct probe_net {
	struct addr source; /* ADDR_NONE: the system chooses */
	int ns, home; /* name spaces; -1: sockets are made here */
};

/* No name space: speak from an address that the machine has or is routed. */
void probe_net_plain(struct probe_net *n, const struct addr *source);

/* Make the name space, with source as its address, or (ADDR_NONE) one of the
 * family given. Needs root and ip(8). While it is there, the machine reaches
 * source only in it. Returns 0, or -1 with err; close in both cases. */
int probe_net_open(struct probe_net *n, enum addr_family family,
    const struct addr *source, struct err *err);
void probe_net_close(struct probe_net *n);

/* A close-on-exec stream socket that is bound to the source. -1 with errno.
 * Threads: only while the program has no other. */
int probe_net_socket(const struct probe_net *n, enum addr_family family);

#endif
