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
		{ "100.10.99.9", "100.10.99.9" },
		{ "101.11.200.255", "101.11.200.255" },
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
		{ "192:0.2.1", NULL },
		{ "192.0.2 1", NULL },
		{ "::ffff:192:0.2.1", NULL },
		{ "0x7f.0.0.1", NULL },
		{ "3221225985", NULL },
		{ " 192.0.2.1", NULL },
		{ "192.0.2.1 ", NULL },
		{ "[192.0.2.1]", NULL },
		{ "fe80::1%eth0", NULL },
		{ "2001:db8::/32", NULL },
		{ "2001:db8:::1", NULL },
		{ "2001:db8:1:2:3:4:5:6:7", NULL },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "0000:0000:0000:0000:0000:ffff:255.255.255.255",
		    "255.255.255.255" },
		{ "0000:0000:0000:0000:0000:ffff:255.255.255.2555", NULL },
		{ "64:ff9b::192.0.2.1", "64:ff9b::c000:201" },
		{ "::fffe:192.0.2.1", "::fffe:c000:201" },
		{ "host.example", NULL },
		{ ":", NULL },
		{ "1", NULL },
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
	assert_false(addr_parse_n("::1\0x", 5, &addr));
	/* of a longer text the length that was given, and no more */
	assert_true(addr_parse_n("192.0.2.123", 9, &addr));
	assert_string_equal(addr_format(&addr, got), "192.0.2.1");
	assert_true(addr_parse_n("2001:db8::12", 11, &addr));
	assert_string_equal(addr_format(&addr, got), "2001:db8::1");
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
		{ "[", NULL },
		{ "", NULL },
		{ "[192.0.2.1", NULL },
		{ "192.0.2.1]", NULL },
		{ "[::1]", "::1" },
		{ "::", "::" },
		{ "IPv6:", NULL },
		{ "IPv6:::", "::" },
		{ "IPv4:192.0.2.1", NULL },
		{ "IPv6.2001:db8::5", NULL },
		{ "IPv6 192.0.2.1", NULL },
		{ "[fe80::1%eth0]", "fe80::1" },
		{ "%", NULL },
		{ "[[192.0.2.1]]", NULL },
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
		{ "::ffff:0.0.0.0/96", "0.0.0.0/0", "203.0.113.9", "::1" },
		{ "::ffff:192.0.2.7/128", "192.0.2.7", "192.0.2.7",
		    "192.0.2.6" },
		{ "::/0", "::/0", "2001:db8::1", "192.0.2.1" },
		{ "2001:db8::7/128", "2001:db8::7", "2001:db8::7",
		    "2001:db8::6" },
		{ "2001:db8::6/127", "2001:db8::6/127", "2001:db8::7",
		    "2001:db8::8" },
		{ "2001:db8::100/120", "2001:db8::100/120", "2001:db8::1ff",
		    "2001:db8::200" },
		{ "192.0.2.6/31", "192.0.2.6/31", "192.0.2.7", "192.0.2.8" },
		{ "128.0.0.0/1", "128.0.0.0/1", "255.0.0.1", "127.0.0.1" },
		{ "2001:db8::/129", NULL, NULL, NULL },
		{ "2001:db8::/1000", NULL, NULL, NULL },
		{ "2001:db8::1/64", NULL, NULL, NULL },
		{ "::ffff:0.0.0.0/95", NULL, NULL, NULL },
		{ "::ffff:192.0.2.7/129", NULL, NULL, NULL },
		{ "10.0.0.0/00", NULL, NULL, NULL },
		{ "10.0.0.0/8/8", NULL, NULL, NULL },
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
	/* who has no address is in no network, not in that of all either */
	addr = (struct addr){ .family = ADDR_NONE };
	assert_false(network_contains(&net, &addr));
	net = (struct network){ .base = addr };
	assert_false(network_contains(&net, &addr));
}

/* The first so many bits of an address, of either family, for each number. */
static void
first_bits(void **state)
{
	static const char *const all[] = { "255.255.255.255",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" };
	struct addr addr;

	(void)state;
	for (size_t i = 0; i < LENGTH(all); i++) {
		assert_true(addr_parse_loose(all[i], &addr));
		unsigned most = i == 0 ? 32 : 128;

		assert_int_equal(addr_bits(&addr), most);
		for (unsigned bits = 0; bits < 256; bits++) {
			ROW("%u bits of %s", bits, all[i]);
			struct network net = network_of(&addr, (uint8_t)bits);
			unsigned want = bits < most ? bits : most, got = 0;

			assert_int_equal(net.bits, want);
			for (unsigned b = 0; b < 128; b++) {
				bool one =
				    net.base.bytes[b / 8] >> (7 - b % 8) & 1;

				assert_int_equal(one, b < want);
				got += one;
			}
			assert_int_equal(got, want);
			assert_true(network_contains(&net, &addr));
		}
	}
}

static void
sets(void **state)
{
	static const char *const networks[] = { "10.0.0.0/8", "192.0.2.7",
		"2001:db8::/32" };
	static const struct {
		const char *client;
		bool want;
	} rows[] = {
		{ "10.1.2.3", true },
		{ "192.0.2.7", true },
		{ "2001:db8::1", true },
		{ "192.0.2.8", false },
		{ "2001:db9::1", false },
		{ "::", false },
	};
	struct network_set set = { 0 };
	struct network net;
	struct addr addr;

	(void)state;
	assert_true(addr_parse_loose("10.1.2.3", &addr));
	assert_false(network_set_contains(&set, &addr));
	for (size_t i = 0; i < LENGTH(networks); i++) {
		assert_true(network_parse(networks[i], &net));
		assert_true(network_set_add(&set, &net));
	}
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].client);
		assert_true(addr_parse_loose(rows[i].client, &addr));
		assert_int_equal(
		    network_set_contains(&set, &addr), rows[i].want);
	}
	network_set_release(&set);
	assert_int_equal(set.n, 0);
	assert_null(set.v);
}

/* As Sendmail writes it, so that its maps' keys can be compared. */
static void
long_form(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "::", "0:0:0:0:0:0:0:0" },
		{ "2001:db8::a0b", "2001:db8:0:0:0:0:0:a0b" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};
	struct addr addr = { .family = ADDR_NONE };
	char got[ADDR_TEXT_MAX];

	(void)state;
	assert_string_equal(addr_format_long(&addr, got), "unknown");
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		assert_true(addr_parse_loose(rows[i].text, &addr));
		assert_string_equal(addr_format_long(&addr, got), rows[i].want);
	}
}

/* Equal is what has the same family and all bytes: 0.0.0.0 isn't ::. */
static void
equal(void **state)
{
	static const char *const all[] = { "0.0.0.0", "::", "192.0.2.1",
		"192.0.2.2", "2001:db8::1", "2001:db8::2", "c000:201::" };
	struct addr a, b;

	(void)state;
	for (size_t i = 0; i < LENGTH(all); i++)
		for (size_t k = 0; k < LENGTH(all); k++) {
			ROW("%s, %s", all[i], all[k]);
			assert_true(addr_parse_loose(all[i], &a));
			assert_true(addr_parse_loose(all[k], &b));
			assert_int_equal(addr_equal(&a, &b), i == k);
		}
	/* in whichever form it came, and whatever was there before */
	memset(&a, 0xff, sizeof(a));
	memset(&b, 0x11, sizeof(b));
	assert_true(addr_parse_loose("192.0.2.1", &a));
	assert_true(addr_parse_loose("::ffff:192.0.2.1", &b));
	assert_true(addr_equal(&a, &b));
	for (size_t i = 4; i < sizeof(a.bytes); i++)
		assert_int_equal(a.bytes[i], 0);
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
	(void)inet_pton(AF_INET6, "2001:db8::9", &sin6.sin6_addr);
	assert_true(addr_from_sockaddr((struct sockaddr *)&sin6, &addr));
	assert_string_equal(addr_format(&addr, got), "2001:db8::9");
	/* no address is never an address: not loopback, not zero */
	assert_false(addr_from_sockaddr(&other, &addr));
	assert_int_equal(addr.family, ADDR_NONE);
	assert_string_equal(addr_format(&addr, got), "unknown");
	assert_false(addr_from_sockaddr(NULL, &addr));
	assert_int_equal(addr.family, ADDR_NONE);
	sin.sin_port = htons(25);
	assert_int_equal(addr_port((struct sockaddr *)&sin), 25);
	sin6.sin6_port = htons(465);
	assert_int_equal(addr_port((struct sockaddr *)&sin6), 465);
	assert_int_equal(addr_port(&other), 0);
	assert_int_equal(addr_port(NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_and_format),
		cmocka_unit_test(ipv4_as_inet_pton),
		cmocka_unit_test(loose),
		cmocka_unit_test(networks),
		cmocka_unit_test(first_bits),
		cmocka_unit_test(sets),
		cmocka_unit_test(long_form),
		cmocka_unit_test(equal),
		cmocka_unit_test(loopback),
		cmocka_unit_test(sockaddrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
