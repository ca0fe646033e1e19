/* SPDX-License-Identifier: ISC */
/* Lines of other programs' CSV and JSON. */
#include "tests/unit/unit.h"

#include "ctl/commands/flat_record.h"

/* "name=value|name=value"; "name" alone: null. */
static const char *
words(const struct flat *f)
{
	static char buf[600];
	size_t n = 0;

	buf[0] = '\0';
	for (int i = 0; i < f->n && n < sizeof(buf); i++)
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s%s%s%s",
		    i > 0 ? "|" : "", f->name[i],
		    f->value[i] == NULL ? "" : "=",
		    f->value[i] == NULL ? "" : f->value[i]);
	return buf;
}

struct row {
	const char *name, *line;
	const char *want; /* NULL: refused */
};

static void
check(const struct row *row, bool got, const struct flat *f)
{
	const char *text = got ? words(f) : NULL;

	if (got != (row->want != NULL) || (got && strcmp(text, row->want) != 0))
		fail_msg("%s: got %s, want %s", row->name, got ? text : "no",
		    row->want == NULL ? "no" : row->want);
}

static void
json(void **state)
{
	static const struct row rows[] = {
		{ "strings and numbers",
		    "{\"client\":\"192.0.2.1\",\"count\":12}",
		    "client=192.0.2.1|count=12" },
		{ "words that are values",
		    "{\"a\":true,\"b\":false,\"c\":null}", "a=true|b=false|c" },
		{ "numbers of all kinds", "{\"a\":-1.5e+3,\"b\":0}",
		    "a=-1.5e+3|b=0" },
		{ "blanks everywhere", " \t{ \"a\" : 1 , \"b\" : \"x\" } \r",
		    "a=1|b=x" },
		{ "no member", "{}", "" },
		{ "no member, blanks", "{ }", "" },
		{ "an empty string", "{\"a\":\"\"}", "a=" },
		{ "escapes", "{\"a\":\"\\\"\\\\\\/\\t\"}", "a=\"\\/\t" },
		{ "an escaped letter", "{\"a\":\"\\u0041\"}", "a=A" },
		{ "two bytes", "{\"a\":\"\\u00e9\"}", "a=\xc3\xa9" },
		{ "three bytes", "{\"a\":\"\\u20AC\"}", "a=\xe2\x82\xac" },
		{ "an escaped name", "{\"\\u0061\":1}", "a=1" },
		{ "brackets in a string", "{\"a\":\"},{\"}", "a=},{" },
		{ "a NUL by escape", "{\"a\":\"\\u0000\"}", NULL },
		{ "half of a pair", "{\"a\":\"\\ud800\"}", NULL },
		{ "a whole pair", "{\"a\":\"\\ud83d\\ude00\"}", NULL },
		{ "an unknown escape", "{\"a\":\"\\x41\"}", NULL },
		{ "a short escape", "{\"a\":\"\\u00\"}", NULL },
		{ "a control byte", "{\"a\":\"x\ty\"}", NULL },
		{ "no end of the string", "{\"a\":\"x", NULL },
		{ "a backslash at the end", "{\"a\":\"\\", NULL },
		{ "no end", "{\"a\":1", NULL },
		{ "a comma too many", "{\"a\":1,}", NULL },
		{ "no comma", "{\"a\":1 \"b\":2}", NULL },
		{ "no colon", "{\"a\" 1}", NULL },
		{ "no value", "{\"a\":}", NULL },
		{ "a name without quotes", "{a:1}", NULL },
		{ "depth", "{\"a\":{\"b\":1}}", NULL },
		{ "an array inside", "{\"a\":[1]}", NULL },
		{ "an array", "[1]", NULL },
		{ "more behind it", "{\"a\":1} x", NULL },
		{ "more behind nothing", "{} {}", NULL },
		{ "nothing", "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *line = strdup(rows[i].line);
		struct flat f;

		check(&rows[i], flat_json(line, &f), &f);
		free(line);
	}
}

/* Below the heads a,b. */
static void
csv(void **state)
{
	static const struct row rows[] = {
		{ "plain", "1,2", "a=1|b=2" },
		{ "the line's end", "1,2\r\n", "a=1|b=2" },
		{ "empty cells", ",", "a=|b=" },
		{ "quoted", "\"1\",\"2\"", "a=1|b=2" },
		{ "a comma in quotes", "\"1,2\",3", "a=1,2|b=3" },
		{ "quotes in quotes", "\"say \"\"x\"\"\",3",
		    "a=say \"x\"|b=3" },
		{ "only a quote", "\"\"\"\",3", "a=\"|b=3" },
		{ "empty quotes", "\"\",3", "a=|b=3" },
		{ "a quote inside a plain cell", "1\"2,3", "a=1\"2|b=3" },
		{ "blanks stay", " 1 , 2", "a= 1 |b= 2" },
		{ "one too few", "1", NULL },
		{ "one too many", "1,2,3", NULL },
		{ "no end of the quotes", "\"1,2", NULL },
		{ "text behind the quotes", "\"1\"x,2", NULL },
		{ "nothing", "", NULL },
	};
	struct flat heads;

	(void)state;
	assert_true(flat_csv_heads("a,\"b\"\r\n", &heads));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *line = strdup(rows[i].line);
		struct flat f;

		check(&rows[i], flat_csv(line, &heads, &f), &f);
		free(line);
	}
	flat_release(&heads);
	/* below heads that were none */
	char line[] = "1,2";
	struct flat f;

	assert_false(flat_csv_heads("\"a", &heads));
	assert_false(flat_csv(line, &heads, &f));
	flat_release(&heads);
}

static void
get(void **state)
{
	char line[] = "{\"a\":1,\"b\":null,\"a\":2}";
	struct flat f;

	(void)state;
	assert_true(flat_json(line, &f));
	assert_string_equal(flat_get(&f, "a"), "1"); /* the first */
	assert_null(flat_get(&f, "b"));
	assert_null(flat_get(&f, "c"));
}

/* One more than there is room for. */
static void
too_many(void **state)
{
	(void)state;
	for (int n = FLAT_MAX; n <= FLAT_MAX + 1; n++) {
		char object[FLAT_MAX * 10], line[FLAT_MAX * 4];
		struct flat f, heads;
		size_t j = 0, c = 0;

		object[j++] = '{';
		for (int i = 0; i < n; i++) {
			j += (size_t)snprintf(
			    object + j, sizeof(object) - j, "\"%d\":%d,", i, i);
			c += (size_t)snprintf(
			    line + c, sizeof(line) - c, "%d,", i);
		}
		object[j - 1] = '}';
		object[j] = '\0';
		line[c - 1] = '\0';
		assert_int_equal(flat_json(object, &f), n == FLAT_MAX);
		assert_int_equal(flat_csv_heads(line, &heads), n == FLAT_MAX);
		flat_release(&heads);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json),
		cmocka_unit_test(csv),
		cmocka_unit_test(get),
		cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
