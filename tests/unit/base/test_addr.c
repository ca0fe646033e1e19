/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/addr.h"

static void
parse_and_format(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: no address */
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "2001:DB8:0:0:0:0:0:5", "2001:db8::5" },
		{ "2001:db8::1:0:0:1", "2001:db8::1:0:0:1" },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::FFFF:c000:201", "192.0.2.1" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "192.0.2.01", NULL },
		{ "192.0.2", NULL },
		{ "192.0.2.256", NULL },
		{ "192.0.2.1.5", NULL },
		{ "0x7f.0.0.1", NULL },
		{ "3221225985", NULL },
		{ " 192.0.2.1", NULL },
		{ "192.0.2.1 ", NULL },
		{ "[192.0.2.1]", NULL },
		{ "fe80::1%eth0", NULL },
		{ "2001:db8::/32", NULL },
		{ "2001:db8:::1", NULL },
		{ "host.example", NULL },
		{ "", NULL },
	};
	struct addr addr;
	char got[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		bool ok =
		    addr_parse_n(rows[i].text, strlen(rows[i].text), &addr);

		assert_int_equal(ok, rows[i].want != NULL);
		if (ok)
			assert_string_equal(
			    addr_format(&addr, got), rows[i].want);
	}
	assert_false(addr_parse_n("192.0.2.1\0x", 11, &addr));
}

/* IPv4 as inet_pton() takes it, no more and no less. */
static void
ipv4_as_inet_pton(void **state)
{
	static const char *const part[] = { "", "0", "00", "01", "1", "9", "10",
		"99", "100", "199", "249", "255", "256", "300", "1000", "-1",
		"+1", "1 ", "x", ".", "1.", ":" };
	enum { PARTS = LENGTH(part) };
	struct in_addr want;
	struct addr got;
	char text[40];
	size_t good = 0;

	(void)state;
	for (size_t i = 0; i < (size_t)PARTS * PARTS * PARTS * PARTS; i++) {
		int len = snprintf(text, sizeof(text), "%s.%s.%s.%s",
		    part[i % PARTS], part[i / PARTS % PARTS],
		    part[i / PARTS / PARTS % PARTS],
		    part[i / PARTS / PARTS / PARTS]);
		bool ok = inet_pton(AF_INET, text, &want) == 1;

		if (addr_parse_n(text, (size_t)len, &got) != ok ||
		    (ok && memcmp(got.bytes, &want, 4) != 0))
			fail_msg("%s", text);
		good += ok;
	}
	assert_int_equal(good, 9 * 9 * 9 * 9);
}

static void
loose(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "[192.0.2.1]", "192.0.2.1" },
		{ "IPv6:2001:db8:1:0:0:0:0:5", "2001:db8:1::5" },
		{ "ipv6:2001:db8::5", "2001:db8::5" },
		{ "[IPv6:::ffff:127.0.0.78]", "127.0.0.78" },
		{ "fe80::1%eth0", "fe80::1" },
		{ "192.0.2.1%eth0", NULL },
		{ "0", NULL },
		{ "unknown", NULL },
		{ "[]", NULL },
	};
	struct addr addr;
	char got[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		bool ok = addr_parse_loose(rows[i].text, &addr);

		assert_int_equal(ok, rows[i].want != NULL);
		if (ok)
			assert_string_equal(
			    addr_format(&addr, got), rows[i].want);
	}
}

static void
networks(void **state)
{
	static const struct {
		const char *net, *text, *in, *out; /* NULL text: refused */
	} rows[] = {
		{ "10.0.0.0/8", "10.0.0.0/8", "10.255.0.1", "11.0.0.1" },
		{ "192.0.2.128/25", "192.0.2.128/25", "192.0.2.200",
		    "192.0.2.100" },
		{ "192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.8" },
		{ "192.0.2.7/32", "192.0.2.7", "192.0.2.7", "192.0.2.6" },
		{ "0.0.0.0/0", "0.0.0.0/0", "203.0.113.9", "2001:db8::1" },
		{ "2001:db8::/33", "2001:db8::/33", "2001:db8:7fff::1",
		    "2001:db8:8000::1" },
		{ "::1", "::1", "::1", "::2" },
		{ "::ffff:10.0.0.0/104", "10.0.0.0/8", "10.9.9.9", "11.0.0.0" },
		{ "10.0.0.1/8", NULL, NULL, NULL },
		{ "10.0.0.0/33", NULL, NULL, NULL },
		{ "10.0.0.0/", NULL, NULL, NULL },
		{ "10.0.0.0/08", NULL, NULL, NULL },
		{ "10.0.0.0/8x", NULL, NULL, NULL },
		{ "10.0.0.0/-1", NULL, NULL, NULL },
		{ "10.0.0/8", NULL, NULL, NULL },
		{ "::ffff:10.0.0.0/8", NULL, NULL, NULL },
		{ "/8", NULL, NULL, NULL },
	};
	char got[NETWORK_TEXT_MAX];
	struct network net;
	struct addr addr;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].net);
		bool ok = network_parse(rows[i].net, &net);

		assert_int_equal(ok, rows[i].text != NULL);
		if (!ok)
			continue;
		assert_string_equal(network_format(&net, got), rows[i].text);
		assert_true(addr_parse_loose(rows[i].in, &addr));
		assert_true(network_contains(&net, &addr));
		assert_true(addr_parse_loose(rows[i].out, &addr));
		assert_false(network_contains(&net, &addr));
	}
	addr = (struct addr){ .family = ADDR_NONE };
	assert_false(network_contains(&net, &addr));
}

/* Of this machine alone: each address of a network that is wider isn't. */
static void
loopback(void **state)
{
	static const struct {
		const char *text;
		bool want_net, want_addr;
	} rows[] = {
		{ "127.0.0.0/8", true, true },
		{ "127.0.0.1", true, true },
		{ "127.255.255.255", true, true },
		{ "126.0.0.0/7", false, false },
		{ "0.0.0.0/0", false, false },
		{ "128.0.0.1", false, false },
		{ "10.0.0.1", false, false },
		{ "::1", true, true },
		{ "::/127", false, false },
		{ "::", false, false },
		{ "::2", false, false },
		{ "7f00::1", false, false },
		{ "2001:db8::1", false, false },
	};
	struct addr none = { .family = ADDR_NONE };

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct network net;

		ROW("%s", rows[i].text);
		assert_true(network_parse(rows[i].text, &net));
		assert_int_equal(network_is_loopback(&net), rows[i].want_net);
		assert_int_equal(
		    addr_is_loopback(&net.base), rows[i].want_addr);
	}
	assert_false(addr_is_loopback(&none));
}

static void
sockaddrs(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct sockaddr other = { .sa_family = AF_UNIX };
	char got[ADDR_TEXT_MAX];
	struct addr addr;

	(void)state;
	(void)inet_pton(AF_INET, "192.0.2.9", &sin.sin_addr);
	assert_true(addr_from_sockaddr((struct sockaddr *)&sin, &addr));
	assert_string_equal(addr_format(&addr, got), "192.0.2.9");
	(void)inet_pton(AF_INET6, "::ffff:192.0.2.9", &sin6.sin6_addr);
	assert_true(addr_from_sockaddr((struct sockaddr *)&sin6, &addr));
	assert_string_equal(addr_format(&addr, got), "192.0.2.9");
	/* no address is never an address: not loopback, not zero */
	assert_false(addr_from_sockaddr(&other, &addr));
	assert_int_equal(addr.family, ADDR_NONE);
	assert_string_equal(addr_format(&addr, got), "unknown");
	assert_false(addr_from_sockaddr(NULL, &addr));
	assert_int_equal(addr.family, ADDR_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_and_format),
		cmocka_unit_test(ipv4_as_inet_pton),
		cmocka_unit_test(loose),
		cmocka_unit_test(networks),
		cmocka_unit_test(loopback),
		cmocka_unit_test(sockaddrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
