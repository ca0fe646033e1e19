/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/records/decision.h"

/* Where is only watched, nothing is refused, and the record says what would
 * have been. */
static void
monitored(void **state)
{
	static const struct {
		enum verdict is, want;
	} rows[] = { { VERDICT_ACCEPT, VERDICT_ACCEPT },
		{ VERDICT_REJECT, VERDICT_WOULD_REJECT },
		{ VERDICT_TEMPFAIL, VERDICT_WOULD_TEMPFAIL },
		{ VERDICT_WOULD_REJECT, VERDICT_WOULD_REJECT },
		{ VERDICT_WOULD_TEMPFAIL, VERDICT_WOULD_TEMPFAIL },
		{ VERDICT_WOULD_ACCEPT, VERDICT_WOULD_ACCEPT } };

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", verdict_name(rows[i].is));
		assert_int_equal(verdict_monitored(rows[i].is), rows[i].want);
	}
}

/* Each reason is found by its name, and by no other. */
static void
reasons(void **state)
{
	(void)state;
	for (int r = 0; r < REASONS; r++) {
		ROW("%s", reason_name((enum reason)r));
		assert_int_equal(reason_find(reason_name((enum reason)r)), r);
		assert_true(*reason_words((enum reason)r) != '\0');
	}
	assert_int_equal(reason_find("no such reason"), REASONS);
	assert_int_equal(reason_find(""), REASONS);
	assert_int_equal(reason_basis(REASONS), BASIS_NOTHING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(monitored),
		cmocka_unit_test(reasons) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
