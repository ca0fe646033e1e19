/* SPDX-License-Identifier: ISC */
/* markup - pieces of an HTML page. Text from anywhere is made harmless here and
 * nowhere else. Pure but for the stream; any thread. */
#ifndef POPGATE_REPORT_MARKUP_H
#define POPGATE_REPORT_MARKUP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { MARKUP_NAME = 64 }; /* characters of a name that are shown */

/* Text as the content of an element, or of an attribute in double quotes: what
 * is markup becomes a character reference; bytes that are no UTF-8, and
 * characters that are shown as nothing or turn the direction of writing, become
 * \xNN. Behind max characters it ends in "…"; 0: any number. */
void markup_text(FILE *to, const char *text, size_t max);

/* The same to a terminal or a mail, without character references. Returns how
 * many characters were written. */
size_t plain_text(FILE *to, const char *text, size_t max);

/* A name that a client chose, in an element of its own, so that its direction
 * of writing stays inside. */
void markup_name(FILE *to, const char *name);

/* 12345 as "12,345", into buf of 32; returns buf. */
const char *number_text(int64_t n, char *buf);
/* <data value="12345">12,345</data>; a dash when it is negative: not known */
void markup_number(FILE *to, int64_t n);

/* Unix seconds as local time to the minute, in a <time>; 0: a dash */
void markup_time(FILE *to, int64_t at);

#endif
