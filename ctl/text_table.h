/* SPDX-License-Identifier: ISC */
/* text_table - a table for people on stdout. One thread. */
#ifndef POPGATE_TEXT_TABLE_H
#define POPGATE_TEXT_TABLE_H

#include <stdint.h>

enum { TABLE_COLUMNS_MAX = 12 };

/* A table: columns are as wide as the first rows need. */
struct table;
struct table *table_new(const char *const *heads, int columns);
void table_indent(struct table *t, int n);
void table_cell(struct table *t, const char *text); /* escaped here */
void table_number(struct table *t, int64_t n);
/* Prints what is left, and frees. Returns the number of rows. */
int64_t table_end(struct table *t);

#endif
