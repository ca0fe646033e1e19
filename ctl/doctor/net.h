/* SPDX-License-Identifier: ISC */
/* net - is a network that somebody trusts too wide, or does it hold
 * an address that other people's connections come from? */
#ifndef POPGATE_DOCTOR_NET_H
#define POPGATE_DOCTOR_NET_H

#include "common/base/addr.h"

enum { NET_WIDE_IPV4 = 24, NET_WIDE_IPV6 = 48 };

enum net_danger {
	NET_FINE,
	NET_WORLD, /* less than /8 or /16: everybody, or nearly */
	NET_WIDE, /* less than /24 or /48 */
	NET_BRIDGE, /* our address on a bridge of containers is in it */
	NET_GATEWAY /* our default gateway is in it */
};

/* This machine's addresses that are dangerous to trust. */
struct net_machine {
	struct network_set bridges, gateways;
};

/* Never fails: what can't be read is not in the sets. */
void net_machine_load(struct net_machine *m);
void net_machine_release(struct net_machine *m);

/* Loopback is always fine. who (ADDR_TEXT_MAX) gets the address that is in
 * the network, or "". */
enum net_danger
net_danger(const struct net_machine *m, const struct network *net, char *who);

/* One word of a list as Postfix, Sendmail and Exim write networks:
 * "192.0.2.0/24", "[2001:db8::]/32", "::ffff:127.0.0.0/104" (folded to IPv4),
 * "192.0.2" (whole octets, as in access maps), "IPv6:2001:db8". Returns false
 * when it is none. */
bool net_word_parse(const char *text, struct network *net);

#endif
