/* SPDX-License-Identifier: ISC */
/* whom popgatectl sends a mail to */
#include "tests/unit/unit.h"

#include "ctl/mail.h"

/* --- mail --- */

static void
addresses(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} rows[] = {
		{ "root", true },
		{ "post.master+x@example.org", true },
		{ "-oQ/tmp", false },
		{ "", false },
		{ "a b", false },
		{ "a,b", false },
		{ "a\nBcc: b", false },
		{ "|sh", false },
		{ "/etc/passwd", false },
		{ ":include:/x", false },
		{ "a@b;c", false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		assert_int_equal(mail_is_address(rows[i].text), rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
