/* SPDX-License-Identifier: ISC */
/* loopback - the network of a namespace that has nothing but loopback, by
 * rtnetlink(7). Works on the namespace that the calling process is in. */
#ifndef POPGATE_LOOPBACK_H
#define POPGATE_LOOPBACK_H

#include "common/base/addr.h"

struct err;
struct network_set;

/* The addresses of this machine with the lengths of their
 * networks, but loopback's and link-local ones, into *set (released first).
 * 0, or -1 with err. */
int loopback_machine(struct network_set *set, struct err *err);

/* Bring lo up, with these addresses as its own: base and bits as
 * loopback_machine() gives them, that is with host bits. 0, or -1. */
int loopback_up(const struct network_set *own, struct err *err);

/* The loopback address of a family. */
void loopback_address(enum addr_family family, struct addr *addr);

/* From now on addr is reached over lo, and can be a client's address; no
 * program takes it for an address of this machine. 0 also if it was already,
 * or -1 with err. */
int loopback_stranger(const struct addr *addr, struct err *err);

#endif
