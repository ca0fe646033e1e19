/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/findings.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *
rehearsal_format(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	return text;
}

static bool
is_told(
    const struct rehearsal_findings *told, const struct rehearsal_finding *f)
{
	for (size_t i = 0; i < told->n; i++)
		if (strcmp(told->v[i].kind, f->kind) == 0 &&
		    told->v[i].line == f->line && f->file != NULL &&
		    told->v[i].file != NULL &&
		    strcmp(told->v[i].file, f->file) == 0)
			return true;
	return false;
}

static void
release(struct rehearsal_finding *f)
{
	free(f->file);
	free(f->detail);
	free(f->fix);
}

static bool
put(struct rehearsal_findings *to, struct rehearsal_finding f, bool good)
{
	struct rehearsal_finding *v =
	    reallocarray(to->v, to->n + 1, sizeof(*v));

	if (v != NULL)
		to->v = v;
	if (v == NULL || !good) {
		release(&f);
		return false;
	}
	to->v[to->n++] = f;
	return true;
}

bool
rehearsal_findings_put(
    struct rehearsal_findings *to, struct rehearsal_finding f)
{
	return put(to, f, f.file != NULL && f.detail != NULL);
}

void
rehearsal_findings_add(
    struct rehearsal_findings *to, struct rehearsal_finding f)
{
	(void)put(to, f, f.detail != NULL && !is_told(to, &f));
}

void
rehearsal_findings_release(struct rehearsal_findings *r)
{
	for (size_t i = 0; i < r->n; i++)
		release(&r->v[i]);
	free(r->v);
	*r = (struct rehearsal_findings){ .n = 0 };
}
