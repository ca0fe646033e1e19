/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/records/fate.h"

/* Names are in tables and metrics: a changed one breaks what an admin built on
 * it, and two fates of one name would be counted as one. */
static void
names(void **state)
{
	static const char want[] =
	    "none login other-program no-prefix too-long forgeable-file "
	    "untrusted-sender stream-piece cut-piece dropped not-a-login "
	    "failed-login proxied other-service anonymous ambiguous bad-address no-address "
	    "no-user bad-user truncated bad-time pair-opened pair-incomplete "
	    "unknown-shape unknown-tag unknown-prefix forged too-old late never-authorize own-address proxy ";
	char got[sizeof(want) + 100] = "";

	(void)state;
	for (int i = 0; i < FATE_N; i++) {
		size_t at = strlen(got);

		(void)snprintf(
		    got + at, sizeof(got) - at, "%s ", fate_name((enum fate)i));
	}
	assert_string_equal(got, want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
