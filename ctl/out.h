/* SPDX-License-Identifier: ISC */
/* out - what popgatectl prints: text that can't harm a terminal, and CSV and
 * JSON for programs. One thread. */
#ifndef POPGATE_OUT_H
#define POPGATE_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/json.h"

enum { OUT_TEXT_MAX = 2048 };

/* Says that there is no memory left and exits with EX_OSERR: for what can't be
 * told without it. */
_Noreturn void out_of_memory(void);

/* Copy text into buf, cut to size - 1 bytes: printable UTF-8 stays, control
 * characters (C0, DEL, C1), what turns the direction of writing, and bytes
 * that are no UTF-8 become \xNN. NULL gives "-". Returns buf. */
const char *out_escape(const char *text, char *buf, size_t size);
/* The same to stdout, of any length. */
void out_text(const char *text);

/* A member in ISO 8601; null for 0 and "for ever". */
void json_time(struct json *j, const char *key, int64_t at);

/* RFC 4180, and no cell begins with what a spreadsheet takes for a formula */
void csv_cell(const char *text, bool first);

#endif
