/* SPDX-License-Identifier: ISC */
/* flat_record - named values of one line of another program's file: a JSON
 * object without depth, or CSV (RFC 4180) under its heads. Pure. */
#ifndef POPGATE_FLAT_RECORD_H
#define POPGATE_FLAT_RECORD_H

#include <stdbool.h>

enum { FLAT_MAX = 32 };

/* The strings point into the line that was read, which is changed for it. */
struct flat {
	char *name[FLAT_MAX], *value[FLAT_MAX];
	int n;
};

/* The first value of name; NULL when it is absent or null. */
const char *flat_get(const struct flat *f, const char *name);

/* Read {"name": "value", ...}; numbers and words as they are written. Returns
 * false when the line is no such object, or has more than FLAT_MAX members. */
bool flat_json(char *line, struct flat *f);

/* The first line of CSV into heads, which are a copy: caller releases. Returns
 * false when it isn't CSV of at most FLAT_MAX columns. */
bool flat_csv_heads(const char *line, struct flat *heads);
/* A line below the heads, which stay the names. Returns false when it isn't
 * CSV of as many columns, or there are no heads. */
bool flat_csv(char *line, const struct flat *heads, struct flat *f);
void flat_release(struct flat *heads);

#endif
