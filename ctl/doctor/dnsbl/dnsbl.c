/* SPDX-License-Identifier: ISC */
#include "ctl/doctor/dnsbl/dnsbl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

bool
dnsbl_name(const struct addr *addr, const char *list, char name[DNSBL_NAME_MAX])
{
	const uint8_t *b = addr->bytes;
	size_t n = 0;

	if (addr->family == ADDR_NONE || *list == '\0')
		return false;
	if (addr->family == ADDR_IPV4)
		n = (size_t)snprintf(name, DNSBL_NAME_MAX, "%u.%u.%u.%u.", b[3],
		    b[2], b[1], b[0]);
	else
		for (int i = 15; i >= 0; i--)
			n += (size_t)snprintf(name + n, DNSBL_NAME_MAX - n,
			    "%x.%x.", b[i] & 15U, b[i] >> 4U);
	/* 253 characters: RFC 1035 section 3.1 */
	if (n + strlen(list) > 253)
		return false;
	memcpy(name + n, list, strlen(list) + 1);
	return true;
}

enum dnsbl_answer
dnsbl_answer(const struct addr *v, size_t n)
{
	enum dnsbl_answer answer = DNSBL_CLEAR;

	assert(v != NULL || n == 0);
	for (size_t i = 0; i < n; i++) {
		const uint8_t *b = v[i].bytes;

		if (v[i].family != ADDR_IPV4 || b[0] != 127)
			return DNSBL_NO_LIST;
		if (b[1] == 255 && b[2] == 255)
			answer = DNSBL_REFUSED;
		else if (answer == DNSBL_CLEAR)
			answer = DNSBL_LISTED;
	}
	return answer;
}

const char *
dnsbl_refusal(const struct addr *code)
{
	assert(code->family == ADDR_IPV4);
	switch (code->bytes[3]) {
	case 252:
		return "the name of the list is mistyped";
	case 254:
		return "it doesn't answer public resolvers; ask by a resolver of your own (--resolver)";
	case 255:
		return "too many questions came from this resolver";
	default:
		return "an error of the list, no listing";
	}
}

void
dnsbl_test_points(
    enum addr_family family, struct addr *listed, struct addr *clear)
{
	*listed = *clear = (struct addr){ .family = family };
	if (family == ADDR_IPV4) {
		listed->bytes[0] = clear->bytes[0] = 127;
		listed->bytes[3] = 2;
		clear->bytes[3] = 1;
		return;
	}
	/* ::FFFF:7F00:2 and ::FFFF:7F00:1 */
	listed->bytes[10] = listed->bytes[11] = 0xff;
	listed->bytes[12] = 127;
	listed->bytes[15] = 2;
	*clear = *listed;
	clear->bytes[15] = 1;
}

bool
addr_is_public(const struct addr *addr)
{
	static const char *const v4[] = {
		"0.0.0.0/8",
		"10.0.0.0/8",
		"100.64.0.0/10",
		"127.0.0.0/8",
		"169.254.0.0/16",
		"172.16.0.0/12",
		"192.0.0.0/24",
		"192.0.2.0/24",
		"192.168.0.0/16",
		"198.18.0.0/15",
		"198.51.100.0/24",
		"203.0.113.0/24",
		"224.0.0.0/3",
	};
	static const char *const v6[] = { "2001:db8::/32", "2001:2::/48" };
	struct network net;

	if (addr->family == ADDR_NONE)
		return false;
	if (addr->family == ADDR_IPV4) {
		for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++)
			if (network_parse(v4[i], &net) &&
			    network_contains(&net, addr))
				return false;
		return true;
	}
	for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++)
		if (network_parse(v6[i], &net) && network_contains(&net, addr))
			return false;
	/* global unicast: RFC 4291 section 2.4 as it is assigned */
	return network_parse("2000::/3", &net) && network_contains(&net, addr);
}
