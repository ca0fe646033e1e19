/* SPDX-License-Identifier: ISC */
/* what may be the name of a user */
#include "tests/unit/unit.h"

#include "common/grammar/parse.h"

static void
names(void **state)
{
	static char longest[LOGIN_USER_MAX], too_long[LOGIN_USER_MAX + 1];
	const struct {
		const char *name, *user;
		size_t len;
		enum fate want;
	} rows[] = {
		{ "a user", "alice", 5, FATE_LOGIN },
		{ "an address", "alice@example.com", 17, FATE_LOGIN },
		{ "cut by len", "alice>, rip=1.2.3.4", 5, FATE_LOGIN },
		{ "with a blank", "al ice", 6, FATE_LOGIN },
		{ "no name", "", 0, FATE_NO_USER },
		{ "anonymous", "anonymous", 9, FATE_ANONYMOUS },
		{ "anonymous, shouted", "ANONYMOUS", 9, FATE_ANONYMOUS },
		{ "more than anonymous", "anonymous1", 10, FATE_LOGIN },
		{ "less than anonymous", "anonymou", 8, FATE_LOGIN },
		{ "with an end inside", "al\0ice", 6, FATE_BAD_USER },
		{ "two lines", "al\nice", 6, FATE_BAD_USER },
		{ "the longest", longest, LOGIN_USER_MAX - 1, FATE_LOGIN },
		{ "too long", too_long, LOGIN_USER_MAX, FATE_TOO_LONG },
	};

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	memset(too_long, 'x', sizeof(too_long) - 1);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char got[LOGIN_USER_MAX] = "untouched";

		ROW("%s", rows[i].name);
		assert_int_equal(
		    parse_user(rows[i].user, rows[i].len, got), rows[i].want);
		if (rows[i].want != FATE_LOGIN) {
			assert_string_equal(got, "untouched");
			continue;
		}
		assert_int_equal(strlen(got), rows[i].len);
		assert_memory_equal(got, rows[i].user, rows[i].len);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
