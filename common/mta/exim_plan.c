/* SPDX-License-Identifier: ISC */
#include "common/mta/exim_plan.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
exim_draft_put(struct exim_draft *t, const char *fmt, ...)
{
	char *more = NULL;
	va_list ap;

	assert(t->v == NULL || t->v[t->n] == '\0');
	va_start(ap, fmt);
	int n = t->v == NULL ? -1 : vasprintf(&more, fmt, ap);

	va_end(ap);
	char *v = n < 0 ? NULL : realloc(t->v, t->n + (size_t)n + 1);

	if (v == NULL) {
		if (t->v != NULL)
			free(t->v);
		t->v = NULL;
	} else {
		memcpy(v + t->n, more, (size_t)n + 1);
		t->v = v;
		t->n += (size_t)n;
	}
	if (n >= 0)
		free(more);
}

struct exim_draft
exim_draft_begin(void)
{
	return (struct exim_draft){ .v = strdup("") };
}

bool
exim_plan_insert(struct edit_plan *plan, const struct exim_file *file,
    unsigned line, struct exim_draft text, const char *why)
{
	bool done = text.v != NULL &&
	    edit_plan_add(plan, file->path, line, "", text.v, why);

	free(text.v);
	return done;
}
