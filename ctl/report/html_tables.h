/* SPDX-License-Identifier: ISC */
/* html_tables - the tables of the page, and the sections that are one. Pure but
 * for the stream; any thread. */
#ifndef POPGATE_REPORT_HTML_TABLES_H
#define POPGATE_REPORT_HTML_TABLES_H

#include <stdbool.h>
#include <stdio.h>

#include "ctl/report/figures.h"

/* The numbers behind a chart, folded away unless open. */
void html_slots(const struct report *rep, bool open, FILE *to);
void html_refusals(const struct report *rep, bool open, FILE *to);
void html_weeks(const struct report *rep, bool open, FILE *to);

/* Users who still depend on a login, and those who have moved to AUTH. */
void html_dependents(const struct report *rep, FILE *to);

/* Sections. */
void html_rights(const struct report *rep, FILE *to);
void html_clients(const struct report *rep, FILE *to);
void html_users(const struct report *rep, FILE *to);
void html_fresh(const struct report *rep, FILE *to);
void html_shared(const struct report *rep, FILE *to);
void html_limits(const struct report *rep, FILE *to);
void html_strangers(const struct report *rep, FILE *to);
void html_state(const struct report *rep, FILE *to);
void html_doctor(const struct report *rep, FILE *to);

#endif
