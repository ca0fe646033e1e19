#include "own.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>

#include "err.h"

static bool
add(struct network_set *set, const struct addr *addr)
{
	struct network net = network_of(addr, addr_bits(addr));

	return network_set_contains(set, addr) || network_set_add(set, &net);
}

/* Column 2 is the destination, 3 the gateway, as host-order hex words. */
static bool
add_gateways4(struct network_set *set)
{
	FILE *in = fopen("/proc/net/route", "re");
	char line[256];
	bool ok = true;

	while (in != NULL && ok && fgets(line, sizeof(line), in) != NULL) {
		unsigned dest, gateway;
		struct addr addr = { .family = ADDR_IPV4 };

		if (sscanf(line, "%*s %x %x", &dest, &gateway) != 2 ||
		    dest != 0 || gateway == 0)
			continue;
		memcpy(addr.bytes, &gateway, 4);
		ok = add(set, &addr);
	}
	if (in != NULL)
		(void)fclose(in);
	return ok;
}

/* "dest plen src plen nexthop ...": 32 hex digits each */
static bool
add_gateways6(struct network_set *set)
{
	FILE *in = fopen("/proc/net/ipv6_route", "re");
	char line[256], dest[33], hop[33];
	bool ok = true;

	while (in != NULL && ok && fgets(line, sizeof(line), in) != NULL) {
		struct addr addr = { .family = ADDR_IPV6 };
		unsigned bits, any = 0;

		if (sscanf(line, "%32s %x %*s %*s %32s", dest, &bits, hop) !=
		    3 || bits != 0 || strlen(hop) != 32)
			continue;
		for (int i = 0; i < 16; i++) {
			unsigned byte = 0;

			(void)sscanf(hop + 2 * i, "%2x", &byte);
			addr.bytes[i] = (uint8_t)byte;
			any |= byte;
		}
		ok = any == 0 || add(set, &addr);
	}
	if (in != NULL)
		(void)fclose(in);
	return ok;
}

int
own_addresses(struct network_set *set, struct err *err)
{
	struct network_set fresh = { 0 };
	struct ifaddrs *list;
	bool ok = true;

	if (getifaddrs(&list) == -1) {
		err_set(err, ERR_IO, "getifaddrs: %s", strerror(errno));
		return -1;
	}
	for (const struct ifaddrs *i = list; ok && i != NULL;
	    i = i->ifa_next) {
		struct addr addr;

		if (addr_from_sockaddr(i->ifa_addr, &addr))
			ok = add(&fresh, &addr);
	}
	freeifaddrs(list);
	if (!ok || !add_gateways4(&fresh) || !add_gateways6(&fresh)) {
		err_set(err, ERR_NOMEM, "out of memory");
		network_set_release(&fresh);
		return -1;
	}
	network_set_release(set);
	*set = fresh;
	return 0;
}
