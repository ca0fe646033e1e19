/* SPDX-License-Identifier: ISC */
/* Edits of a text, in the order of their lines, whatever order they came in. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "common/mta/edit_plan.h"

static void
apply(void **state)
{
	static const struct {
		const char *name, *before, *after;
		struct {
			unsigned line;
			const char *old, *text;
		} edit[3];
	} rows[] = {
		{ "nothing", "a\nb\n", "a\nb\n", { { 0 } } },
		{ "in front", "a\nb\n", "x\na\nb\n", { { 1, "", "x\n" } } },
		{ "at the end", "a\nb\n", "a\nb\nx\n", { { 3, "", "x\n" } } },
		{ "at an end without a newline", "a\nb", "a\nb\nx\n",
		    { { 3, "", "x\n" } } },
		{ "into an empty file", "", "x\n", { { 1, "", "x\n" } } },
		{ "a new file", NULL, "x\n", { { 1, NULL, "x\n" } } },
		{ "one line by two", "a\nb\nc\n", "a\nx\ny\nc\n",
		    { { 2, "b\n", "x\ny\n" } } },
		{ "two lines by none", "a\nb\nc\n", "c\n",
		    { { 1, "a\nb\n", "" } } },
		{ "the later one came first", "a\nb\nc\n", "x\nb\nz\n",
		    { { 3, "c\n", "z\n" }, { 1, "a\n", "x\n" } } },
		{ "two at one place", "a\nb\n", "a\nx\ny\nb\n",
		    { { 2, "", "x\n" }, { 2, "", "y\n" } } },
		{ "in front of a line that goes", "a\nb\n", "a\nx\n",
		    { { 2, "", "x\n" }, { 2, "b\n", "" } } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct edit_plan plan = { .n_edits = 0 };

		ROW("%s", rows[i].name);
		assert_true(edit_plan_add(&plan, "/other", 1, "", "no\n", ""));
		for (int k = 0; k < 3 && rows[i].edit[k].line > 0; k++)
			assert_true(edit_plan_add(&plan, "/file",
			    rows[i].edit[k].line, rows[i].edit[k].old,
			    rows[i].edit[k].text, "why"));
		edit_plan_sort(&plan);
		char *got = edit_plan_apply(&plan, "/file", rows[i].before);

		assert_non_null(got);
		assert_string_equal(got, rows[i].after);
		free(got);
		edit_plan_release(&plan);
		assert_null(plan.edits);
	}
}

static void
notes(void **state)
{
	struct edit_plan plan = { .n_edits = 0 };

	(void)state;
	assert_true(edit_plan_note(&plan, 7, "/file", 3, "a note"));
	assert_true(edit_plan_note(&plan, 8, "/file", 0, "another"));
	assert_int_equal(plan.n_notes, 2);
	assert_int_equal(plan.notes[0].kind, 7);
	assert_int_equal(plan.notes[0].line, 3);
	assert_string_equal(plan.notes[0].file, "/file");
	assert_string_equal(plan.notes[1].text, "another");
	edit_plan_release(&plan);
	assert_int_equal(plan.n_notes, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(apply),
		cmocka_unit_test(notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
