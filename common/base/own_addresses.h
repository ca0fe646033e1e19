/* SPDX-License-Identifier: ISC */
/* own_addresses - the machine's own addresses and its default gateways: what
 * comes from there (a webmail, a proxy, a NAT) is no client in its own right. */
#ifndef POPGATE_OWN_ADDRESSES_H
#define POPGATE_OWN_ADDRESSES_H

#include "common/base/addr.h"

struct err;

/* Fill *set (released first) with every interface address and the gateways of
 * every default route, IPv4 and IPv6, of any table (rtnetlink(7)). 0, or -1
 * with err and *set as it was. */
int own_addresses(struct network_set *set, struct err *err);

#endif
