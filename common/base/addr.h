/* SPDX-License-Identifier: ISC */
/* addr - one IP address or network: parse, canonical text, containment.
 * An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) is folded to IPv4
 * wherever it comes in, so one client has one name. Pure; any thread. */
#ifndef POPGATE_ADDR_H
#define POPGATE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

enum addr_family { ADDR_NONE = 0, ADDR_IPV4 = 4, ADDR_IPV6 = 6 };

enum {
	ADDR_TEXT_MAX = 46, /* longest IPv6 text and its NUL */
	NETWORK_TEXT_MAX = 50 /* the same with "/128" */
};

struct addr {
	enum addr_family family;
	uint8_t bytes[16]; /* network order; IPv4 uses the first four */
};

/* base has no bit set beyond bits */
struct network {
	struct addr base;
	uint8_t bits;
};

struct network_set {
	struct network *v; /* owned */
	size_t n;
};

/* Parse the len bytes at text: dotted IPv4 (four decimal octets, no leading
 * zeros) or RFC 4291 IPv6 text without zone. Nothing else is an address: no
 * brackets, tags, host names, short forms or surrounding space.
 * Returns true and fills *addr, or false and leaves it. */
bool addr_parse_n(const char *text, size_t len, struct addr *addr);

/* The same for what an admin or an MTA writes: also takes [a.b.c.d],
 * "IPv6:" before an IPv6 address, and drops a zone ("%eth0"). */
bool addr_parse_loose(const char *text, struct addr *addr);

/* From a socket address; NULL or another family gives false and ADDR_NONE. */
bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *addr);

/* The port of an IPv4 or IPv6 socket address; 0 for NULL and others. */
uint16_t addr_port(const struct sockaddr *sa);

/* Canonical text (RFC 5952) into buf of ADDR_TEXT_MAX; "unknown" for
 * ADDR_NONE. Returns buf. */
const char *addr_format(const struct addr *addr, char *buf);

/* Eight groups without "::", as Sendmail writes IPv6 by default; IPv4 as
 * above. Returns buf. */
const char *addr_format_long(const struct addr *addr, char *buf);

bool addr_equal(const struct addr *a, const struct addr *b);

/* 127.0.0.0/8 (RFC 1122 section 3.2.1.3) or ::1 (RFC 4291 section 2.5.3)? */
bool addr_is_loopback(const struct addr *addr);

/* 32 or 128: how many bits an address of this family has. */
uint8_t addr_bits(const struct addr *addr);

/* Parse "a.b.c.d/n", "x::/n" or a plain address (all bits). Host bits that
 * are set are refused: "10.0.0.1/8" is more often a slip than a wish. */
bool network_parse(const char *text, struct network *net);

/* The network of the first bits bits of addr (bits above the family's own
 * count as all). */
struct network network_of(const struct addr *addr, uint8_t bits);

/* Text into buf of NETWORK_TEXT_MAX: "base/bits", or the plain address when
 * it has all bits. Returns buf. */
const char *network_format(const struct network *net, char *buf);

/* Does it hold loopback addresses only? */
bool network_is_loopback(const struct network *net);

bool network_contains(const struct network *net, const struct addr *addr);
bool
network_set_contains(const struct network_set *set, const struct addr *addr);

/* Append a copy of net. Returns false when memory is short. */
bool network_set_add(struct network_set *set, const struct network *net);
void network_set_release(struct network_set *set);

#endif
