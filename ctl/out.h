/* out - what popgatectl prints: text that can't harm a terminal, times,
 * tables for people, JSON lines and CSV for programs. */
#ifndef POPGATE_OUT_H
#define POPGATE_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/json.h"

enum { TIME_TEXT_MAX = 64, OUT_TEXT_MAX = 2048, TABLE_COLUMNS_MAX = 12 };

/* Copy text into buf, cut to size - 1 bytes: printable UTF-8 stays, control
 * characters (C0, DEL, C1), what turns the direction of writing, and bytes
 * that are no UTF-8 become \xNN. NULL gives "-". Returns buf. */
const char *out_escape(const char *text, char *buf, size_t size);
/* The same to stdout, of any length. */
void out_text(const char *text);

/* Unix seconds as "2026-11-21 12:00:00 +0100"; "for ever"; "never" for 0.
 * buf of TIME_TEXT_MAX. Return buf. */
const char *time_local(int64_t at, char *buf);
/* "2026-11-21T12:00:00+01:00" */
const char *time_iso(int64_t at, char *buf);
/* "4 min ago", "in 26 min", "now" */
const char *time_relative(int64_t at, int64_t now, char *buf);
/* "2026-11-21 12:00:00 +0100 (4 min ago)" */
const char *time_both(int64_t at, int64_t now, char *buf);

/* A moment: "now", "@1700000000", "1700000000", "2026-11-21",
 * "2026-11-21 12:00[:00]" (or T), with Z or +01:00 behind when it isn't the
 * local zone, or "12:00[:00]".
 *   past  1: a duration is that long ago, a time of day the last one
 *         0: a duration is from now on, a time of day the next one
 * Returns false when text is none of these. */
bool time_parse(const char *text, int64_t now, int past, int64_t *at_r);

/* A table: columns are as wide as the first rows need. */
struct table;
struct table *table_new(const char *const *heads, int columns);
void table_indent(struct table *t, int n);
void table_cell(struct table *t, const char *text); /* escaped here */
void table_number(struct table *t, int64_t n);
/* Prints what is left, and frees. Returns the number of rows. */
int64_t table_end(struct table *t);

/* A member in ISO 8601; null for 0 and "for ever". */
void json_time(struct json *j, const char *key, int64_t at);

/* RFC 4180, and no cell begins with what a spreadsheet takes for a formula */
void csv_cell(const char *text, bool first);

#endif
