/* SPDX-License-Identifier: ISC */
/* own - the machine's own addresses and its gateways: nobody who comes from
 * there is a client in its own right (a webmail, a proxy, a NAT). */
#ifndef POPGATE_OWN_H
#define POPGATE_OWN_H

#include "common/base/addr.h"

struct err;

/* Fill *set (released first) with every interface address and the gateways of
 * every default route, IPv4 and IPv6, of any table (rtnetlink(7)). 0, or -1
 * with err and *set as it was. */
int own_addresses(struct network_set *set, struct err *err);

#endif
