/* SPDX-License-Identifier: ISC */
/* values as popgate.conf writes them: libconfig reads what was meant */
#include "tests/unit/unit.h"

#include <libconfig.h>

#include "ctl/config_text.h"

static char *
text_of(const char *value)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	assert_non_null(to);
	(void)fputs("x = ", to);
	config_text_string(to, value);
	(void)fputs(";", to);
	assert_int_equal(fclose(to), 0);
	return text;
}

static void
strings(void **state)
{
	static const char *const rows[] = {
		"",
		"plain",
		"with \"quotes\"",
		"back\\slash",
		"ends with \\",
		"\\\"; y = 1; z = \"",
		"two\nlines\tand a tab",
		"\x1b[2J",
		"\x7f",
		"\xc3\xa4\xe2\x82\xac",
		"\xff\xfe no UTF-8",
		"\xe2\x80\xae turned",
		"# no comment // here /* nor here",
		"\n0 a digit behind it",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char *text = text_of(rows[i]);
		const char *got = NULL;
		config_t c;

		ROW("%s", text);
		config_init(&c);
		assert_int_equal(config_read_string(&c, text), CONFIG_TRUE);
		assert_int_equal(
		    config_lookup_string(&c, "x", &got), CONFIG_TRUE);
		assert_string_equal(got, rows[i]);
		assert_null(config_lookup(&c, "y"));
		config_destroy(&c);
		for (const char *p = text; *p != '\0'; p++)
			assert_false((unsigned char)*p < 0x20 || *p == 0x7f);
		free(text);
	}
}

static void
values(void **state)
{
	static const struct config_member text = { .form = CONFIG_TEXT,
		.text = "a\"b" };
	static const struct config_member list[] = {
		{ .form = CONFIG_TEXT, .text = "one" },
		{ .form = CONFIG_TEXT, .text = "two" },
	};
	static const struct {
		struct config_value value;
		const char *want;
	} rows[] = {
		{ { .form = CONFIG_TEXT, .v = &text, .n = 1 }, "\"a\\\"b\"" },
		{ { .form = CONFIG_LIST, .v = NULL, .n = 0 }, "[ ]" },
		{ { .form = CONFIG_LIST, .v = list, .n = 2 },
		    "[\n        \"one\",\n        \"two\" ]" },
		{ { .form = CONFIG_GROUPS, .v = NULL, .n = 0 }, "( )" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char *got = NULL;
		size_t len = 0;
		FILE *to = open_memstream(&got, &len);

		ROW("row %zu", i);
		assert_non_null(to);
		config_text_value(to, &rows[i].value);
		assert_int_equal(fclose(to), 0);
		assert_string_equal(got, rows[i].want);
		free(got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings),
		cmocka_unit_test(values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
