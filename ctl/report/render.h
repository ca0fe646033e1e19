/* SPDX-License-Identifier: ISC */
/* render - a report's figures as text for a terminal, JSON, or one page. Each
 * writes to a stream and asks nobody: the same figures give the same bytes.
 * All that comes from the databases is escaped and cut. Any thread. */
#ifndef POPGATE_REPORT_RENDER_H
#define POPGATE_REPORT_RENDER_H

#include <stdbool.h>
#include <stdio.h>

#include "ctl/report/figures.h"

void report_text(const struct report *rep, FILE *to);
void report_json(const struct report *rep, FILE *to);
/* open: the tables behind charts are unfolded, for who prints the page, or
 * reads it where charts are not shown (mail). */
void report_html(const struct report *rep, bool open, FILE *to);

/* The worst of the state and of what the doctor found. */
enum report_level report_worst(const struct report *rep);

/* "SMTP AUTH", "POP/IMAP login", ...: a right to relay, or why there was none,
 * in words; the name itself where it is not known. */
const char *report_reason_words(const char *reason);

/* "2026-11-21 12:00 to 2026-11-28 12:00, CET (UTC+01:00)" into buf of
 * REPORT_PERIOD_MAX; returns buf. */
enum { REPORT_PERIOD_MAX = 160 };
const char *report_period(const struct report *rep, char *buf);

#endif
