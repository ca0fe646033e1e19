/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/base/json.h"

static void
members(void **state)
{
	static const char text[] =
	    " { \"a\" : 1, \"deep\": { \"b\": [2, "
	    "{\"c\":\"}\"}], \"x\": \"in\" }, \"x\": \"out\\n\\\"\\u0041"
	    "\\u20ac\\/\", \"neg\":-17, \"t\":true,\"f\": false, \"n\":null,"
	    " \"float\": 1.5, \"s\":\"7\" } ";
	char buf[32];
	int64_t n = 0;
	bool b = false;

	(void)state;
	assert_true(json_find_number(text, "a", &n));
	assert_int_equal(n, 1);
	assert_true(json_find_text(text, "x", buf, sizeof(buf)));
	assert_string_equal(buf, "out\n\"A?/");
	assert_true(json_find_text(text, "x", buf, 3));
	assert_string_equal(buf, "ou");
	assert_true(json_find_number(text, "neg", &n));
	assert_int_equal(n, -17);
	assert_true(json_find_bool(text, "t", &b) && b);
	assert_true(json_find_bool(text, "f", &b) && !b);
	/* other levels, other types, none */
	assert_false(json_find_number(text, "b", &n));
	assert_false(json_find_text(text, "c", buf, sizeof(buf)));
	assert_false(json_find_number(text, "s", &n));
	assert_false(json_find_number(text, "float", &n));
	assert_false(json_find_text(text, "a", buf, sizeof(buf)));
	assert_false(json_find_text(text, "n", buf, sizeof(buf)));
	assert_false(json_find_bool(text, "n", &b));
	assert_false(json_find_bool(text, "nothing", &b));
}

/* Text that is cut, or no object at all, is no answer, and never read
 * beyond. */
static void
hostile(void **state)
{
	static const char whole[] = "{\"k\":{\"a\":[1,\"x\\\"\"]},"
				    "\"w\":\"\\u0041\",\"n\":12}";
	static const char *const rows[] = { "", " ", "n", "{", "{}",
		"[\"n\",1]", "{\"n\"}", "{\"n\":}", "{\"n\":\"", "{\"x\\",
		"{\"a\":1]\"n\":1}", "{,\"n\":1}", "{\"a\"1,\"n\":1}",
		"{\"a\":}},\"n\":1}", "{\"n\":1x}" };
	char *cut, buf[16];
	int64_t n;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i]);
		assert_false(json_find_number(rows[i], "n", &n));
	}
	for (size_t len = 0; len + 1 < sizeof(whole); len++) {
		/* on the heap, where a sanitizer sees the end */
		cut = strndup(whole, len);
		assert_non_null(cut);
		assert_false(json_find_number(cut, "n", &n));
		(void)json_find_text(cut, "w", buf, sizeof(buf));
		free(cut);
	}
}

static void
written_and_read(void **state)
{
	char *text = NULL, buf[64];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct json j = { .to = out };
	int64_t n = 0;

	(void)state;
	assert_non_null(out);
	json_open(&j, NULL, '{');
	json_text(&j, "evil", "a\"b\\c\nd\x1b");
	json_number(&j, "n", INT64_MIN);
	json_close(&j, '}');
	(void)fclose(out);
	assert_true(json_find_text(text, "evil", buf, sizeof(buf)));
	assert_string_equal(buf, "a\"b\\c\nd\x1b");
	assert_true(json_find_number(text, "n", &n));
	assert_true(n == INT64_MIN);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members),
		cmocka_unit_test(hostile),
		cmocka_unit_test(written_and_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
