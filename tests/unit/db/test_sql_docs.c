/* SPDX-License-Identifier: ISC */
/* popgate-sql(5) says which version the tables have. */
#include "tests/unit/unit.h"

#include "common/db/sql.h"

static void
versions(void **state)
{
	static char page[256 * 1024];
	char want[128];
	FILE *f = fopen("docs/man/popgate-sql.5", "r");

	(void)state;
	if (f == NULL)
		fail_msg("run it in the source tree");
	assert_true(fread(page, 1, sizeof(page) - 1, f) > 0);
	assert_int_equal(fclose(f), 0);
	(void)snprintf(want, sizeof(want),
	    "tables: %d for\n.Pa logins.db ,\n%d for\n.Pa audit.db .\n",
	    SQL_LOGINS_STEPS, SQL_AUDIT_STEPS);
	if (strstr(page, want) == NULL)
		fail_msg("docs/man/popgate-sql.5 lacks: %s", want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
