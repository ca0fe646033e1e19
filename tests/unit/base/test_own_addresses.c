/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/base/own_addresses.h"

/* Loopback has its address wherever tests run; 100::dead (RFC 6666) is
 * nobody's. */
static void
loopback(void **state)
{
	struct network_set set = { 0 };
	struct addr here, nobody;
	struct err err;

	(void)state;
	assert_true(addr_parse_n("127.0.0.1", 9, &here));
	assert_true(addr_parse_n("100::dead", 9, &nobody));
	for (int i = 0; i < 2; i++) { /* filled again: nothing is added */
		size_t before = set.n;

		if (own_addresses(&set, &err) == -1)
			fail_msg("%s", err.text);
		assert_true(network_set_contains(&set, &here));
		assert_false(network_set_contains(&set, &nobody));
		if (i > 0)
			assert_int_equal(set.n, before);
	}
	for (size_t i = 0; i < set.n; i++)
		assert_int_equal(set.v[i].bits,
		    set.v[i].base.family == ADDR_IPV4 ? 32 : 128);
	network_set_release(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
