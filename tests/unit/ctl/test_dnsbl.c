/* SPDX-License-Identifier: ISC */
/* Names to ask a block list for, and what its answers mean. */
#include "tests/unit/unit.h"

#include "ctl/doctor/dnsbl/dnsbl.h"

static struct addr
addr(const char *text)
{
	struct addr a = { .family = ADDR_NONE };

	if (*text != '\0')
		assert_true(addr_parse_loose(text, &a));
	return a;
}

static void
names(void **state)
{
	static const struct {
		const char *addr, *list, *want;
	} rows[] = {
		{ "192.0.2.99", "bad.example.com",
		    "99.2.0.192.bad.example.com" },
		{ "127.0.0.2", "x.y", "2.0.0.127.x.y" },
		/* RFC 5782 section 2.4 */
		{ "2001:db8:1:2:3:4:567:89ab", "ugly.example.com",
		    "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1."
		    "0.0.2.ugly.example.com" },
		{ "", "x.y", NULL },
		{ "192.0.2.1", "", NULL },
	};
	char name[DNSBL_NAME_MAX], list[DNSBL_NAME_MAX];
	struct addr a, b;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s in %s", rows[i].addr, rows[i].list);
		a = addr(rows[i].addr);
		assert_int_equal(
		    dnsbl_name(&a, rows[i].list, name), rows[i].want != NULL);
		if (rows[i].want != NULL)
			assert_string_equal(name, rows[i].want);
	}
	/* exactly as long as a name can be, and one more */
	a = addr("2001:db8::1");
	memset(list, 'a', sizeof(list));
	list[253 - 64] = '\0';
	assert_true(dnsbl_name(&a, list, name));
	assert_int_equal(strlen(name), 253);
	list[253 - 64] = 'a';
	list[254 - 64] = '\0';
	assert_false(dnsbl_name(&a, list, name));
	/* RFC 5782 section 5 */
	dnsbl_test_points(ADDR_IPV4, &a, &b);
	assert_true(dnsbl_name(&a, "l", name));
	assert_string_equal(name, "2.0.0.127.l");
	assert_true(dnsbl_name(&b, "l", name));
	assert_string_equal(name, "1.0.0.127.l");
	dnsbl_test_points(ADDR_IPV6, &a, &b);
	assert_true(dnsbl_name(&a, "l", name));
	assert_string_equal(name,
	    "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0."
	    "0.0.0.0.0.0.0.0.0.0.0.l");
}

static void
answers(void **state)
{
	static const struct {
		const char *v[3];
		enum dnsbl_answer want;
	} rows[] = {
		{ { NULL }, DNSBL_CLEAR },
		{ { "127.0.0.2" }, DNSBL_LISTED },
		{ { "127.0.0.4", "127.0.0.10" }, DNSBL_LISTED },
		{ { "127.255.255.254" }, DNSBL_REFUSED },
		{ { "127.0.0.2", "127.255.255.255" }, DNSBL_REFUSED },
		{ { "127.255.254.1" }, DNSBL_LISTED },
		{ { "198.51.100.7" }, DNSBL_NO_LIST },
		{ { "127.0.0.2", "198.51.100.7" }, DNSBL_NO_LIST },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%zu, first %s", i,
		    rows[i].v[0] == NULL ? "none" : rows[i].v[0]);
		struct addr v[3];
		size_t n = 0;

		for (; n < 3 && rows[i].v[n] != NULL; n++)
			v[n] = addr(rows[i].v[n]);
		assert_int_equal(dnsbl_answer(v, n), rows[i].want);
	}
	for (int i = 0; i < 256; i++) {
		struct addr code = addr("127.255.255.0");

		code.bytes[3] = (uint8_t)i;
		assert_true(strlen(dnsbl_refusal(&code)) > 10);
	}
}

static void public(void **state)
{
	static const char *const yes[] = { "8.8.8.8", "1.1.1.1", "100.63.0.1",
		"172.32.0.1", "192.0.3.1", "223.255.255.1", "2a00::1",
		"2606:4700::1" };
	static const char *const no[] = { "10.0.0.1", "100.64.0.1", "127.0.0.1",
		"169.254.1.1", "172.31.255.1", "192.168.1.1", "192.0.2.1",
		"198.18.255.2", "224.0.0.1", "255.255.255.255", "0.0.0.0",
		"::1", "fe80::1", "fd00::1", "2001:db8::1", "2001:2::1",
		"ff02::1", "64:ff9b::1" };
	struct addr a = { .family = ADDR_NONE };

	(void)state;
	assert_false(addr_is_public(&a));
	for (size_t i = 0; i < LENGTH(yes); i++) {
		ROW("%s", yes[i]);
		a = addr(yes[i]);
		assert_true(addr_is_public(&a));
	}
	for (size_t i = 0; i < LENGTH(no); i++) {
		ROW("%s", no[i]);
		a = addr(no[i]);
		assert_false(addr_is_public(&a));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(answers),
		cmocka_unit_test(public),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
