/* SPDX-License-Identifier: ISC */
/* exim_source - an Exim configuration as it is written: its ACLs, and of each
 * statement the file and the line. Macros and .ifdef are followed as Exim
 * follows them. Pure. */
#ifndef POPGATE_EXIM_SOURCE_H
#define POPGATE_EXIM_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/strings.h"
#include "common/mta/exim_text.h"

struct exim_condition {
	bool negated;
	char *name; /* "domains", "control", "endpass" */
	char *value; /* behind "=", macros replaced; "" without "=" */
	char *raw; /* the same as it is written, lines joined */
};

/* Places are lines, from 1; text goes in front of the line that is named. */
struct exim_statement {
	char *verb;
	const struct exim_file *file;
	unsigned line; /* of the verb */
	unsigned before; /* where text stands in front of the statement, and of
			  * the comment above it */
	unsigned behind; /* where text stands behind it */
	struct exim_condition *v;
	size_t n;
};

struct exim_acl {
	char *name;
	const struct exim_file *file;
	unsigned line, before; /* of "name:" */
	unsigned end; /* where text stands behind its last statement */
	struct exim_statement *v;
	size_t n;
};

struct exim_source {
	struct exim_acl *acls;
	size_t n_acls;
	struct string_list options; /* main section: name, value, name, ... */
	struct exim_text text; /* what is missing, among other things */
};

/* Read files[0..n_main), one behind the other, as Debian joins conf.d, and
 * those of the rest that they include. Returns false when memory is short.
 * Release src in any case. */
bool exim_source_read(const struct exim_file *files, size_t n, size_t n_main,
    struct exim_source *src);
void exim_source_release(struct exim_source *src);

/* NULL: none. */
const struct exim_acl *
exim_source_acl(const struct exim_source *src, const char *name, size_t len);
/* The value of a setting of the main section; NULL: not set. */
const char *exim_source_option(const struct exim_source *src, const char *name);

/* The first condition of that name; NULL. */
const struct exim_condition *
exim_statement_find(const struct exim_statement *s, const char *name);

#endif
