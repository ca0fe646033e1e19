#include "own.h"

#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "err.h"

static bool
add(struct network_set *set, const struct addr *addr)
{
	struct network net = network_of(addr, addr_bits(addr));

	return addr->family == ADDR_NONE || network_set_contains(set, addr) ||
	    network_set_add(set, &net);
}

static bool
add_interfaces(struct network_set *set, const struct ifaddrs *list)
{
	struct addr addr;

	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		if (addr_from_sockaddr(i->ifa_addr, &addr) && !add(set, &addr))
			return false;
		if ((i->ifa_flags & IFF_BROADCAST) != 0 &&
		    addr_from_sockaddr(i->ifa_broadaddr, &addr) &&
		    !add(set, &addr))
			return false;
	}
	return true;
}

/* /proc/net/route: "eth0 00000000 010011AC ...", hexadecimal words in the
 * byte order of the machine. */
static bool
add_gateways4(struct network_set *set)
{
	FILE *f = fopen("/proc/self/net/route", "re");
	char line[512];
	bool ok = true;

	if (f == NULL)
		return true;
	while (ok && fgets(line, sizeof(line), f) != NULL) {
		uint32_t to, via;
		struct addr addr = { .family = ADDR_IPV4 };

		if (sscanf(line, "%*s %" SCNx32 " %" SCNx32, &to, &via) != 2 ||
		    to != 0 || via == 0)
			continue;
		memcpy(addr.bytes, &via, sizeof(via));
		ok = add(set, &addr);
	}
	(void)fclose(f);
	return ok;
}

static bool
hex16(const char *text, uint8_t bytes[16])
{
	for (int i = 0; i < 16; i++) {
		unsigned v;

		if (sscanf(text + 2 * i, "%2x", &v) != 1)
			return false;
		bytes[i] = (uint8_t)v;
	}
	return true;
}

/* /proc/net/ipv6_route: destination, its bits, source, its bits, gateway */
static bool
add_gateways6(struct network_set *set)
{
	static const uint8_t zero[16];
	FILE *f = fopen("/proc/self/net/ipv6_route", "re");
	char line[512];
	bool ok = true;

	if (f == NULL)
		return true;
	while (ok && fgets(line, sizeof(line), f) != NULL) {
		struct addr addr = { .family = ADDR_IPV6 };
		char to[33], via[33];
		unsigned bits;

		if (sscanf(line, "%32[0-9a-f] %x %*s %*s %32[0-9a-f]", to,
			&bits, via) != 3 ||
		    bits != 0 || strlen(via) != 32 || !hex16(via, addr.bytes) ||
		    memcmp(addr.bytes, zero, sizeof(zero)) == 0)
			continue;
		ok = add(set, &addr);
	}
	(void)fclose(f);
	return ok;
}

int
own_addresses(struct network_set *set, struct err *err)
{
	struct network_set fresh = { 0 };
	struct ifaddrs *list;

	if (getifaddrs(&list) == -1) {
		err_set(err, ERR_IO, "getifaddrs: %s", strerror(errno));
		return -1;
	}
	bool ok = add_interfaces(&fresh, list) && add_gateways4(&fresh) &&
	    add_gateways6(&fresh);

	freeifaddrs(list);
	if (!ok) {
		network_set_release(&fresh);
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	network_set_release(set);
	*set = fresh;
	return 0;
}
