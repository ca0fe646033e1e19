/* SPDX-License-Identifier: ISC */
#include "ctl/text_table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/out.h"

enum { TABLE_MEASURED = 500 /* rows that the widths come from */ };

struct table {
	int columns, indent;
	int width[TABLE_COLUMNS_MAX];
	bool right[TABLE_COLUMNS_MAX]; /* numbers */
	/* rows that wait until the widths are known */
	char **cell;
	size_t cells;
	bool flushed;
	int column; /* of the next cell */
	int64_t rows;
};

static int
text_width(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void
print_cell(const struct table *t, int column, const char *text)
{
	assert(column >= 0 && column < t->columns);
	int pad = t->width[column] - text_width(text);

	(void)printf("%*s", column > 0 ? 2 : t->indent, "");
	for (int i = 0; t->right[column] && i < pad; i++)
		(void)putchar(' ');
	(void)fputs(text, stdout);
	/* nothing behind the last column */
	for (int i = 0; !t->right[column] && column + 1 < t->columns && i < pad;
	     i++)
		(void)putchar(' ');
	if (column + 1 == t->columns)
		(void)putchar('\n');
}

static void
table_flush(struct table *t)
{
	assert(t->cells % (size_t)t->columns == 0);
	for (size_t i = 0; i < t->cells; i++) {
		print_cell(t, (int)(i % (size_t)t->columns), t->cell[i]);
		free(t->cell[i]);
	}
	t->cells = 0;
	t->flushed = true;
}

static void
add_cell(struct table *t, const char *text)
{
	char buf[OUT_TEXT_MAX];
	int width;

	assert(t->column < t->columns);
	out_escape(*text == '\0' ? "-" : text, buf, sizeof(buf));
	if (t->flushed) {
		print_cell(t, t->column, buf);
	} else {
		assert(t->cells < (size_t)t->columns * (TABLE_MEASURED + 1));
		t->cell[t->cells] = strdup(buf);
		if (t->cell[t->cells] == NULL)
			out_of_memory();
		t->cells++;
		width = text_width(buf);
		/* one monster must not push all others off the screen */
		if (width > t->width[t->column])
			t->width[t->column] = width > 60 ? 60 : width;
	}
	t->column = (t->column + 1) % t->columns;
	if (t->column > 0)
		return;
	t->rows++;
	if (t->rows == TABLE_MEASURED)
		table_flush(t);
}

static void *
zeroed(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p == NULL)
		out_of_memory();
	return p;
}

struct table *
table_new(const char *const *heads, int columns)
{
	struct table *t = zeroed(1, sizeof(*t));

	assert(columns > 0 && columns <= TABLE_COLUMNS_MAX);
	t->cell =
	    zeroed((size_t)columns * (TABLE_MEASURED + 1), sizeof(*t->cell));
	t->columns = columns;
	t->rows = -1; /* the heads aren't one */
	for (int i = 0; i < columns; i++)
		add_cell(t, heads[i]);
	return t;
}

void
table_indent(struct table *t, int n)
{
	assert(n >= 0 && !t->flushed);
	t->indent = n;
}

void
table_cell(struct table *t, const char *text)
{
	add_cell(t, text == NULL ? "-" : text);
}

void
table_number(struct table *t, int64_t n)
{
	char buf[24];

	(void)snprintf(buf, sizeof(buf), "%" PRId64, n);
	t->right[t->column] = true;
	add_cell(t, buf);
}

int64_t
table_end(struct table *t)
{
	int64_t rows = t->rows;

	assert(t->column == 0); /* rows are whole */
	if (rows > 0 && !t->flushed)
		table_flush(t);
	for (size_t i = 0; i < t->cells; i++)
		free(t->cell[i]);
	free(t->cell);
	free(t);
	return rows;
}
