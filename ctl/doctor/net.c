/* SPDX-License-Identifier: ISC */
#include "ctl/doctor/net.h"

#include <assert.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/own_addresses.h"

/* Interfaces that containers and virtual machines hang on: a client that
 * reaches a published port may come from our own address there. */
static bool
is_bridge(const char *name)
{
	static const char *const begins[] = {
		"docker",
		"br-",
		"podman",
		"cni",
		"cbr",
		"lxc",
		"lxd",
		"virbr",
		"incus",
		"flannel",
		"weave",
		"nerdctl",
	};

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(name, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

static void
add(struct network_set *set, const struct addr *addr)
{
	struct network net = network_of(addr, addr_bits(addr));

	(void)network_set_add(set, &net);
}

void
net_machine_load(struct net_machine *m)
{
	struct network_set own = { 0 }, here = { 0 };
	struct ifaddrs *list = NULL;
	struct addr addr;
	struct err err;

	memset(m, 0, sizeof(*m));
	if (getifaddrs(&list) == -1)
		return;
	for (struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		if (addr_from_sockaddr(i->ifa_broadaddr, &addr))
			add(&here, &addr);
		if (!addr_from_sockaddr(i->ifa_addr, &addr))
			continue;
		add(&here, &addr);
		if (is_bridge(i->ifa_name))
			add(&m->bridges, &addr);
	}
	freeifaddrs(list);
	/* what is ours, but on no interface, is a gateway */
	if (own_addresses(&own, &err) == 0)
		for (size_t i = 0; i < own.n; i++)
			if (!network_set_contains(&here, &own.v[i].base))
				add(&m->gateways, &own.v[i].base);
	network_set_release(&own);
	network_set_release(&here);
}

void
net_machine_release(struct net_machine *m)
{
	network_set_release(&m->bridges);
	network_set_release(&m->gateways);
}

static bool
holds(const struct network *net, const struct network_set *set, char *who)
{
	for (size_t i = 0; i < set->n; i++)
		if (network_contains(net, &set->v[i].base)) {
			(void)addr_format(&set->v[i].base, who);
			return true;
		}
	return false;
}

enum net_danger
net_danger(const struct net_machine *m, const struct network *net, char *who)
{
	bool four = net->base.family == ADDR_IPV4;

	assert(net->bits <= addr_bits(&net->base));
	*who = '\0';
	if (network_is_loopback(net))
		return NET_FINE;
	if (net->bits < (four ? 8 : 16))
		return NET_WORLD;
	if (net->bits < (four ? NET_WIDE_IPV4 : NET_WIDE_IPV6))
		return NET_WIDE;
	if (holds(net, &m->bridges, who))
		return NET_BRIDGE;
	return holds(net, &m->gateways, who) ? NET_GATEWAY : NET_FINE;
}

/* "10", "10.1" and "10.1.2": whole octets. */
static bool
octets(const char *text, struct network *net)
{
	struct addr addr = { .family = ADDR_IPV4 };
	uint8_t n = 0;

	for (;;) {
		size_t len = strspn(text, "0123456789");
		unsigned long v = len == 0 || len > 3 || n == 3
		    ? 256
		    : strtoul(text, NULL, 10);

		if (v > 255)
			return false;
		addr.bytes[n++] = (uint8_t)v;
		text += len;
		if (*text == '.' && text[1] != '\0')
			text++;
		else
			break;
	}
	if (*text == '.')
		text++;
	if (*text != '\0')
		return false;
	*net = network_of(&addr, (uint8_t)(n * 8));
	return true;
}

bool
net_word_parse(const char *text, struct network *net)
{
	char buf[80], *slash;
	struct addr addr;
	size_t n = 0;

	if (strncmp(text, "IPv6:", 5) == 0)
		text += 5;
	for (; *text != '\0' && n < sizeof(buf) - 1; text++)
		if (*text != '[' && *text != ']')
			buf[n++] = *text;
	buf[n] = '\0';
	slash = strchr(buf, '/');
	if (slash == NULL)
		return network_parse(buf, net) || octets(buf, net);
	*slash++ = '\0';
	size_t digits = strspn(slash, "0123456789");
	unsigned long bits = digits == 0 || digits > 3 || slash[digits] != '\0'
	    ? 999
	    : strtoul(slash, NULL, 10);

	if (bits > 128 || !addr_parse_loose(buf, &addr))
		return false;
	if (addr.family == ADDR_IPV4 && strchr(buf, ':') != NULL)
		bits = bits < 96 ? 999 : bits - 96;
	if (bits > addr_bits(&addr))
		return false;
	/* host bits are the MTA's to complain about */
	*net = network_of(&addr, (uint8_t)bits);
	return true;
}
