/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/records/userlist.h"

static void
test_add(void **state)
{
	static const struct {
		const char *name, *list, *add, *want;
		bool got;
	} rows[] = {
		{ "the first", "", "alice", "alice", true },
		{ "another", "alice", "bob@x.test", "alice,bob@x.test", true },
		{ "the same in another case", "alice", "ALICE", "alice", true },
		{ "one with a domain is another", "alice", "alice@x.test",
		    "alice,alice@x.test", true },
		{ "a beginning is another", "alice", "alic", "alice,alic",
		    true },
		{ "nobody by name", "alice", "", "alice", false },
		{ "a comma", "", "a,b", "a;b", true },
		{ "a comma is no end of a name", "a,b", "a,b", "a,b,a;b",
		    true },
		{ "a comma tells nobody apart", "a;b", "A,B", "a;b", true },
		{ "the first and the last letter", "az", "AZ", "az", true },
		{ "brackets are no letters", "[", "{", "[,{", true },
		{ "after one of a letter", "a", "b", "a,b", true },
		{ "bytes above ASCII keep their case", "\xc3\xa4", "\xc3\x84",
		    "\xc3\xa4,\xc3\x84", true },
		{ "the ninth", "a,b,c,d,e,f,g,h", "i", "a,b,c,d,e,f,g,h",
		    false },
		{ "the ninth that is there", "a,b,c,d,e,f,g,h", "H",
		    "a,b,c,d,e,f,g,h", true },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		char list[USERLIST_MAX];

		(void)snprintf(list, sizeof(list), "%s", rows[i].list);
		bool got = userlist_add(list, rows[i].add);

		assert_int_equal(got, rows[i].got);
		assert_string_equal(list, rows[i].want);
		assert_int_equal(userlist_has(list, rows[i].add), got);
	}
}

/* There is room for any one name, and never a part of one. */
static void
test_long_names(void **state)
{
	char list[USERLIST_MAX] = "", name[LOGIN_USER_MAX + 1];

	(void)state;
	memset(name, ',', sizeof(name));
	name[LOGIN_USER_MAX] = '\0';
	assert_false(userlist_add(list, name));
	name[LOGIN_USER_MAX - 1] = '\0';
	assert_true(userlist_add(list, name));
	assert_int_equal(strlen(list), LOGIN_USER_MAX - 1);
	name[0] = 'a';
	assert_true(userlist_add(list, name));
	name[0] = 'b';
	assert_false(userlist_add(list, name));
	assert_int_equal(userlist_count(list), 2);
}

/* What fits to the byte does, and not a byte more. */
static void
test_full(void **state)
{
	char list[USERLIST_MAX] = "", name[LOGIN_USER_MAX];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[90] = '\0';
	for (int i = 0; i < 5; i++) {
		name[0] = (char)('b' + i);
		assert_true(userlist_add(list, name));
	}
	size_t room = USERLIST_MAX - 2 - strlen(list);

	assert_in_range(room, 1, sizeof(name) - 2);
	memset(name, 'z', sizeof(name));
	name[room + 1] = '\0';
	assert_false(userlist_add(list, name));
	assert_int_equal(strlen(list), USERLIST_MAX - 2 - room);
	name[room] = '\0';
	assert_true(userlist_add(list, name));
	assert_int_equal(strlen(list), USERLIST_MAX - 1);
}

static void
test_walk(void **state)
{
	char name[LOGIN_USER_MAX], longer[2 * LOGIN_USER_MAX];
	const char *next = longer;

	(void)state;
	/* of a name that none may have, as much as there is room for */
	memset(longer, 'x', sizeof(longer));
	(void)strcpy(longer + LOGIN_USER_MAX + 5, ",b");
	next = userlist_next(next, name);
	assert_int_equal(strlen(name), LOGIN_USER_MAX - 1);
	next = userlist_next(next, name);
	assert_string_equal(name, "b");
	assert_null(userlist_next(next, name));
	next = "alice,Bob";
	next = userlist_next(next, name);
	assert_string_equal(name, "alice");
	next = userlist_next(next, name);
	assert_string_equal(name, "Bob");
	assert_null(userlist_next(next, name));
	assert_null(userlist_next(NULL, name));
	assert_null(userlist_next("", name));
	assert_int_equal(userlist_count(NULL), 0);
	assert_false(userlist_has(NULL, "alice"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
