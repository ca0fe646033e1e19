/* SPDX-License-Identifier: ISC */
/* popgate(7) and docs/ARCHITECTURE.md have the policy's rows, all of them, in
 * this order and in these words. POPGATE_WRITE=1 writes them there. */
#include "tests/unit/unit.h"

#include "common/policy/policy.h"

enum {
	TEXT_MAX = 512 * 1024,
	ROW_MAX = 256,
	SAID_MAX = 16,
	TABLE_MAX = 64 * ROW_MAX
};

/* The answer to a client: "accept", "550 5.7.1". */
static const char *
answer(const struct policy_row *row, char *buf)
{
	if (row->verdict == VERDICT_ACCEPT)
		return verdict_name(row->verdict);
	(void)snprintf(buf, SAID_MAX, "%s %s", row->code, row->status);
	return buf;
}

static void
row_of_man(const struct policy_row *row, const char *n, char *buf)
{
	char said[SAID_MAX];

	(void)snprintf(buf, ROW_MAX, ".It %s Ta %s Ta %s Ta %s\n",
	    row->n == 0 ? "\\&" : n, answer(row, said),
	    reason_name(row->reason), row->condition);
}

static void
row_of_markdown(const struct policy_row *row, const char *n, char *buf)
{
	char said[SAID_MAX];

	(void)snprintf(buf, ROW_MAX, "| %s | %s | %s | `%s` |\n", n,
	    row->condition, answer(row, said), reason_name(row->reason));
}

static void
rows_of(
    void (*row_of)(const struct policy_row *, const char *, char *), char *buf)
{
	char n[12];

	assert_true(policy_rows_n * ROW_MAX <= TABLE_MAX);
	for (size_t i = 0; i < policy_rows_n; i++) {
		if (policy_rows[i].verdict == VERDICT_ASK_STORE)
			continue;
		(void)snprintf(n, sizeof(n), "%d", policy_rows[i].n);
		row_of(&policy_rows[i], policy_rows[i].n == 0 ? "" : n, buf);
		buf += strlen(buf);
	}
}

static void
read_file(const char *path, char *text)
{
	FILE *f = fopen(path, "r");

	if (f == NULL)
		fail_msg("%s can't be read (run it in the source tree)", path);
	size_t len = fread(text, 1, TEXT_MAX - 1, f);

	assert_true(len < TEXT_MAX - 1);
	text[len] = '\0';
	(void)fclose(f);
}

static void
write_file(const char *path, const char *text, const char *rows, size_t head,
    size_t tail)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	(void)fprintf(f, "%.*s%s%s", (int)head, text, rows, text + tail);
	assert_int_equal(fclose(f), 0);
}

/* From the first line on that differs. */
static void
show_difference(const char *path, const char *got, size_t len, const char *want)
{
	size_t same = 0;

	while (same < len && got[same] == want[same])
		same++;
	while (same > 0 && got[same - 1] != '\n')
		same--;
	(void)printf("--- %s\n%.*s+++ the policy\n%s", path, (int)(len - same),
	    got + same, want + same);
}

/* The rows in path begin behind the line before, and end at the newline that
 * begins after. */
static void
compare(const char *path, const char *before, const char *after,
    void (*row_of)(const struct policy_row *, const char *, char *))
{
	static char text[TEXT_MAX], want[TABLE_MAX];

	read_file(path, text);
	rows_of(row_of, want);
	const char *begin = strstr(text, before);

	if (begin == NULL)
		fail_msg("%s has no table of the policy: \"%s\"", path, before);
	begin += strlen(before);
	const char *end = strstr(begin - 1, after);

	assert_non_null(end);
	end++;
	size_t len = (size_t)(end - begin);

	if (len == strlen(want) && memcmp(begin, want, len) == 0)
		return;
	if (getenv("POPGATE_WRITE") != NULL) {
		write_file(path, text, want, (size_t)(begin - text),
		    (size_t)(end - text));
		return;
	}
	show_difference(path, begin, len, want);
	fail_msg("%s: POPGATE_WRITE=1 in the environment writes it", path);
}

static void
man_page(void **state)
{
	(void)state;
	compare("docs/man/popgate.7",
	    ".It Em row Ta Em answer Ta Em reason Ta Em condition\n", "\n.El\n",
	    row_of_man);
}

static void
architecture(void **state)
{
	(void)state;
	compare("docs/ARCHITECTURE.md",
	    "| # | condition | verdict | reason |\n|---|---|---|---|\n", "\n\n",
	    row_of_markdown);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(man_page),
		cmocka_unit_test(architecture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
