/* SPDX-License-Identifier: ISC */
/* lists and sets of strings, and a digit */
#include "tests/unit/unit.h"

#include <limits.h>
#include <string.h>

#include "common/base/hex.h"
#include "common/base/strings.h"
#include "common/base/strset.h"

static void
a_list(void **state)
{
	struct string_list list = { .n = 0 };

	(void)state;
	assert_false(string_list_has(&list, ""));
	assert_true(string_list_add(&list, "one, two", 3));
	assert_true(string_list_add(&list, "", 0));
	assert_true(string_list_has(&list, "one"));
	assert_true(string_list_has(&list, ""));
	assert_false(string_list_has(&list, "on"));
	assert_false(string_list_has(&list, "one, two"));
	assert_false(string_list_has(&list, "One"));
	string_list_release(&list);
	assert_int_equal(list.n, 0);
	assert_false(string_list_has(&list, "one"));
	string_list_release(&list);
}

static void
a_set(void **state)
{
	struct strset set = { .n = 0 }, less = { .n = 0 };
	char text[20], buf[10];

	(void)state;
	assert_false(strset_has(&set, "none"));
	/* it grows several times */
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(text, sizeof(text), "d%d.test", i);
		assert_int_equal(strset_add(&set, text), 0);
		assert_int_equal(strset_add(&set, text), 0);
		if (i % 2 == 0)
			assert_int_equal(strset_add(&less, text), 0);
	}
	assert_int_equal(set.n, 1000);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(text, sizeof(text), "d%d.test", i);
		ROW("%s", text);
		assert_true(strset_has(&set, text));
		assert_int_equal(strset_has(&less, text), i % 2 == 0);
	}
	assert_false(strset_has(&set, "D1.test"));
	assert_false(strset_has(&set, "d1000.test"));
	assert_false(strset_has(&set, ""));
	assert_int_equal(strset_lost(&less, &set, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
	/* one has room in buf, all are counted */
	assert_int_equal(strset_lost(&set, &less, buf, sizeof(buf)), 500);
	assert_true(strset_has(&set, buf));
	assert_false(strset_has(&less, buf));
	strset_release(&set);
	strset_release(&less);
	assert_false(strset_has(&set, "d1.test"));
}

static void
a_hex_digit(void **state)
{
	static const char digits[] = "00112233445566778899aAbBcCdDeEfF";

	(void)state;
	for (int c = CHAR_MIN; c <= CHAR_MAX; c++) {
		const char *at = c == 0 ? NULL : strchr(digits, (char)c);

		assert_int_equal(
		    hex_digit((char)c), at == NULL ? -1 : (at - digits) / 2);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list),
		cmocka_unit_test(a_set),
		cmocka_unit_test(a_hex_digit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
