/* SPDX-License-Identifier: ISC */
/* Text that somebody else wrote, as it is shown: by the log, in JSON, on
 * metrics pages. One definition, and nothing gets by it. */
#include "tests/unit/unit.h"

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/utf8.h"

static const struct {
	const char *name, *text, *log, *json;
} rows[] = {
	{ "plain", "alice@example.com", "alice@example.com",
	    "alice@example.com" },
	{ "letters of others", "j\xc3\xbcrgen \xe6\x97\xa5 \xf0\x9f\x93\xa7",
	    "j\xc3\xbcrgen \xe6\x97\xa5 \xf0\x9f\x93\xa7",
	    "j\xc3\xbcrgen \xe6\x97\xa5 \xf0\x9f\x93\xa7" },
	{ "C0", "a\x1b[2Jb\x07\r\n\t", "a\\x1b[2Jb\\x07\\x0d\\x0a\\x09",
	    "a\\u001b[2Jb\\u0007\\u000d\\u000a\\u0009" },
	{ "DEL", "\x7f", "\\x7f", "\\u007f" },
	{ "C1",
	    "\xc2\x9b"
	    "31m\xc2\x80\xc2\x9f",
	    "\\xc2\\x9b31m\\xc2\\x80\\xc2\\x9f", "\\u009b31m\\u0080\\u009f" },
	{ "C1 as one byte",
	    "\x9b"
	    "31m",
	    "\\x9b31m", "\\ufffd31m" },
	{ "bidi", "\xe2\x80\xae|\xe2\x80\xaa|\xe2\x81\xa6|\xe2\x81\xa9",
	    "\\xe2\\x80\\xae|\\xe2\\x80\\xaa|\\xe2\\x81\\xa6|\\xe2\\x81\\xa9",
	    "\\u202e|\\u202a|\\u2066|\\u2069" },
	{ "marks", "\xe2\x80\x8e|\xe2\x80\x8f|\xd8\x9c",
	    "\\xe2\\x80\\x8e|\\xe2\\x80\\x8f|\\xd8\\x9c",
	    "\\u200e|\\u200f|\\u061c" },
	{ "zero width", "\xe2\x80\x8b|\xef\xbb\xbf|\xc2\xad|\xef\xb8\x8f",
	    "\\xe2\\x80\\x8b|\\xef\\xbb\\xbf|\\xc2\\xad|\\xef\\xb8\\x8f",
	    "\\u200b|\\ufeff|\\u00ad|\\ufe0f" },
	{ "fillers", "\xe3\x85\xa4|\xe1\x85\x9f",
	    "\\xe3\\x85\\xa4|\\xe1\\x85\\x9f", "\\u3164|\\u115f" },
	{ "separators", "\xe2\x80\xa8|\xe2\x80\xa9",
	    "\\xe2\\x80\\xa8|\\xe2\\x80\\xa9", "\\u2028|\\u2029" },
	{ "tags", "\xf3\xa0\x81\x81|\xf3\xa0\x80\x80|\xf3\xa0\x81\xbf",
	    "\\xf3\\xa0\\x81\\x81|\\xf3\\xa0\\x80\\x80|\\xf3\\xa0\\x81\\xbf",
	    "\\udb40\\udc41|\\udb40\\udc00|\\udb40\\udc7f" },
	{ "private use", "\xf4\x8f\xbf\xbd", "\\xf4\\x8f\\xbf\\xbd",
	    "\\udbff\\udffd" },
	{ "noncharacters", "\xef\xb7\x90|\xef\xbf\xbf|\xf0\x9f\xbf\xbe",
	    "\\xef\\xb7\\x90|\\xef\\xbf\\xbf|\\xf0\\x9f\\xbf\\xbe",
	    "\\ufdd0|\\uffff|\\ud83f\\udffe" },
	{ "surrogates", "\xed\xa0\x80", "\\xed\\xa0\\x80",
	    "\\ufffd\\ufffd\\ufffd" },
	{ "overlong", "\xc0\x9b|\xe0\x82\x9b|\xf0\x80\x82\x9b",
	    "\\xc0\\x9b|\\xe0\\x82\\x9b|\\xf0\\x80\\x82\\x9b",
	    "\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|"
	    "\\ufffd\\ufffd\\ufffd\\ufffd" },
	{ "too large", "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80",
	    "\\ufffd\\ufffd\\ufffd\\ufffd" },
	{ "cut", "\xe2\x80", "\\xe2\\x80", "\\ufffd\\ufffd" },
	{ "cut, then more",
	    "\xe2\x80"
	    "a\xff",
	    "\\xe2\\x80a\\xff", "\\ufffd\\ufffda\\ufffd" },
};

static const char *
json_of(const char *text)
{
	static char buf[400];
	FILE *to = fmemopen(buf, sizeof(buf), "w");
	struct json j = { .to = to };

	assert_non_null(to);
	json_text(&j, NULL, text);
	assert_int_equal(fclose(to), 0);
	return buf;
}

static void
shown(void **state)
{
	char buf[400], want[400];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		(void)log_escape(rows[i].text, true, buf, sizeof(buf));
		assert_string_equal(buf, rows[i].log);
		(void)snprintf(want, sizeof(want), "\"%s\"", rows[i].json);
		assert_string_equal(json_of(rows[i].text), want);
	}
	(void)log_escape("a\"b\\", true, buf, sizeof(buf));
	assert_string_equal(buf, "a\\\"b\\\\");
	(void)log_escape("a\"b\\", false, buf, sizeof(buf));
	assert_string_equal(buf, "a\"b\\");
}

/* An escape is whole or not there. */
static void
cut(void **state)
{
	static const struct {
		size_t size;
		const char *want;
	} sizes[] = { { 1, "" }, { 2, "a" }, { 9, "a" }, { 10, "a\\xc2\\x9b" },
		{ 11, "a\\xc2\\x9b" } };
	char buf[12];

	(void)state;
	for (size_t i = 0; i < LENGTH(sizes); i++) {
		ROW("%zu bytes", sizes[i].size);
		memset(buf, '!', sizeof(buf));
		(void)log_escape(
		    "a\xc2\x9b\xc3\xbc", false, buf, sizes[i].size);
		assert_string_equal(buf, sizes[i].want);
		assert_int_equal(buf[sizes[i].size], '!');
	}
}

static size_t
encode(uint32_t cp, char *p)
{
	if (cp < 0x80) {
		p[0] = (char)cp;
		return 1;
	}
	size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

	for (size_t i = n - 1; i > 0; i--, cp >>= 6)
		p[i] = (char)(0x80 | (cp & 0x3f));
	p[0] = (char)(0xf00 >> n | cp);
	return n;
}

/* All of Unicode: what is harmful is ASCII in each form, all else is itself,
 * and nothing of the kinds that a program must not show is left out. */
static void
every_character(void **state)
{
	static const uint32_t kinds[][2] = { { 1, 0x1f }, { 0x7f, 0x9f },
		{ 0x202a, 0x202e }, { 0x2066, 0x2069 }, { 0x200b, 0x200f },
		{ 0x61c, 0x61c }, { 0x2028, 0x2029 }, { 0xfeff, 0xfeff },
		{ 0xe0000, 0xe007f }, { 0xfdd0, 0xfdef }, { 0xd800, 0xdfff },
		{ 0xfffe, 0xffff }, { 0x1fffe, 0x1ffff }, { 0xffffe, 0xfffff },
		{ 0x10fffe, 0x10ffff } };
	char text[8], buf[64];

	(void)state;
	for (size_t i = 0; i < LENGTH(kinds); i++)
		for (uint32_t cp = kinds[i][0]; cp <= kinds[i][1]; cp++)
			if (!utf8_harmful(cp))
				fail_msg("U+%04" PRIX32 " isn't harmful", cp);
	for (uint32_t cp = 1; cp <= 0x10ffff; cp++) {
		size_t n = encode(cp, text);
		uint32_t got = 0;

		ROW("U+%04" PRIX32, cp);
		text[n] = '\0';
		(void)log_escape(text, false, buf, sizeof(buf));
		if (cp >= 0xd800 && cp <= 0xdfff) {
			assert_int_equal(
			    utf8_length((unsigned char *)text, &got), 0);
		} else {
			assert_int_equal(
			    utf8_length((unsigned char *)text, &got), n);
			assert_int_equal(got, cp);
		}
		if (!utf8_harmful(cp)) {
			assert_string_equal(buf, text);
			continue;
		}
		assert_int_equal(strlen(buf), 4 * n);
		for (const char *p = buf; *p != '\0'; p++)
			assert_true(*p > 0x20 && *p < 0x7f);
	}
}

static void
metrics_label(void **state)
{
	char buf[400] = "";
	FILE *to = fmemopen(buf, sizeof(buf), "w");
	const struct metrics_label labels[] = { { "l",
						    "a\n\xc2\x9b"
						    "b\"\xff\xe2\x80\xae" },
		{ 0 } };

	(void)state;
	assert_non_null(to);
	metrics_sample(to, "x", "", labels, 1);
	assert_int_equal(fclose(to), 0);
	assert_string_equal(buf,
	    "popgate_x{l=\"a\\n\xef\xbf\xbd"
	    "b\\\"\xef\xbf\xbd\xef\xbf\xbd\"} 1\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shown),
		cmocka_unit_test(cut),
		cmocka_unit_test(every_character),
		cmocka_unit_test(metrics_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
