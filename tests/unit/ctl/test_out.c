/* SPDX-License-Identifier: ISC */
/* what popgatectl prints of texts that strangers chose */
#include "tests/unit/unit.h"

#include "ctl/out.h"
#include "ctl/text_table.h"

static char printed[8192];
static int saved_stdout;

/* Between these two, stdout goes to printed. */
static void
catch_begin(FILE **to_r)
{
	(void)fflush(stdout);
	saved_stdout = dup(STDOUT_FILENO);
	*to_r = tmpfile();
	assert_non_null(*to_r);
	assert_int_not_equal(dup2(fileno(*to_r), STDOUT_FILENO), -1);
}

static void
catch_end(FILE *to)
{
	(void)fflush(stdout);
	(void)dup2(saved_stdout, STDOUT_FILENO);
	(void)close(saved_stdout);
	rewind(to);
	printed[fread(printed, 1, sizeof(printed) - 1, to)] = '\0';
	(void)fclose(to);
}

static void
cells(void **state)
{
	static const struct {
		const char *text;
		bool first;
		const char *want;
	} rows[] = {
		{ "alice", true, "alice" },
		{ "alice", false, ",alice" },
		{ NULL, false, "," },
		{ "", false, "," },
		{ "a,b", true, "\"a,b\"" },
		{ "say \"hi\"", true, "\"say \"\"hi\"\"\"" },
		{ "two\nlines", true, "\"two\\x0alines\"" },
		/* a spreadsheet would run these */
		{ "=cmd|'/c calc'!A1", true, "\"'=cmd|'/c calc'!A1\"" },
		{ "+1", true, "\"'+1\"" },
		{ "-1", true, "\"'-1\"" },
		{ "@SUM(A1)", true, "\"'@SUM(A1)\"" },
		{ "\t=1", true, "\"'\\x09=1\"" },
		{ "\r=1", true, "\"'\\x0d=1\"" },
		{ "a=1", true, "a=1" },
		/* and a terminal these */
		{ "\x1b]0;x\a", true, "\\x1b]0;x\\x07" },
		{ "\xc3\xa4", true, "\xc3\xa4" },
		{ "\xff", true, "\\xff" },
	};
	FILE *to;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		catch_begin(&to);
		csv_cell(rows[i].text, rows[i].first);
		catch_end(to);
		ROW("row %zu", i);
		assert_string_equal(printed, rows[i].want);
	}
}

static void
escapes(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *want;
	} rows[] = {
		{ NULL, 20, "-" },
		{ "", 20, "" },
		{ "plain", 20, "plain" },
		{ "plain", 5, "plai" },
		{ "a\nb", 20, "a\\x0ab" },
		{ "a\nb", 5, "a" }, /* no escape is cut */
		{ "\xc3\xa4\xc3\xa4", 4, "\xc3\xa4" }, /* no character is */
		{ "x", 1, "" },
	};
	char buf[20];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("row %zu", i);
		assert_ptr_equal(
		    out_escape(rows[i].text, buf, rows[i].size), buf);
		assert_string_equal(buf, rows[i].want);
	}
}

static void
a_table(void **state)
{
	static const char *const heads[] = { "CLIENT", "COUNT", "USER" };
	FILE *to;

	(void)state;
	catch_begin(&to);
	struct table *t = table_new(heads, 3);

	table_indent(t, 2);
	table_cell(t, "192.0.2.1");
	table_number(t, 7);
	table_cell(t, "\xc3\xa4\x1b[2J");
	table_cell(t, NULL);
	table_number(t, 1234567);
	table_cell(t, "");
	int64_t rows = table_end(t);

	catch_end(to);
	assert_int_equal(rows, 2);
	assert_string_equal(printed,
	    "  CLIENT       COUNT  USER\n"
	    "  192.0.2.1        7  \xc3\xa4\\x1b[2J\n"
	    "  -          1234567  -\n");
}

/* Its heads alone are not printed. */
static void
an_empty_table(void **state)
{
	static const char *const heads[] = { "CLIENT" };
	FILE *to;

	(void)state;
	catch_begin(&to);
	int64_t rows = table_end(table_new(heads, 1));

	catch_end(to);
	assert_int_equal(rows, 0);
	assert_string_equal(printed, "");
}

/* The widths come from the first rows; what comes later is printed at once, and
 * no row is lost. */
static void
a_long_table(void **state)
{
	static const char *const heads[] = { "N" };
	FILE *to;
	int lines = 0;

	(void)state;
	catch_begin(&to);
	struct table *t = table_new(heads, 1);

	for (int i = 0; i < 1203; i++)
		table_number(t, i % 10);
	assert_int_equal(table_end(t), 1203);
	catch_end(to);
	for (const char *p = printed; *p != '\0'; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 1204);
}

static void
times_in_json(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	struct json j = { .to = to };

	(void)state;
	assert_non_null(to);
	json_open(&j, NULL, '{');
	json_time(&j, "never", 0);
	json_time(&j, "for_ever", INT64_MAX);
	json_close(&j, '}');
	(void)fclose(to);
	assert_contains(text, "\"never\":null");
	assert_contains(text, "\"for_ever\":null");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells),
		cmocka_unit_test(escapes),
		cmocka_unit_test(a_table),
		cmocka_unit_test(an_empty_table),
		cmocka_unit_test(a_long_table),
		cmocka_unit_test(times_in_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
