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
exim_plan_edit(struct exim_plan *plan, const struct exim_file *file,
    unsigned line, struct exim_draft text, const char *why)
{
	struct exim_edit *v =
	    reallocarray(plan->edits, plan->n_edits + 1, sizeof(*v));

	if (v == NULL || text.v == NULL) {
		plan->edits = v == NULL ? plan->edits : v;
		free(text.v);
		return false;
	}
	plan->edits = v;
	v[plan->n_edits] = (struct exim_edit){
		.file = strdup(file->path),
		.line = line,
		.text = text.v,
		.why = strdup(why),
	};
	plan->n_edits++;
	return v[plan->n_edits - 1].file != NULL &&
	    v[plan->n_edits - 1].why != NULL;
}

bool
exim_plan_note(struct exim_plan *plan, enum exim_note_kind kind,
    const struct exim_file *file, unsigned line, const char *text)
{
	struct exim_note *v =
	    reallocarray(plan->notes, plan->n_notes + 1, sizeof(*v));

	if (v == NULL)
		return false;
	plan->notes = v;
	v[plan->n_notes] = (struct exim_note){
		.kind = kind,
		.file = strdup(file->path),
		.line = line,
		.text = strdup(text),
	};
	plan->n_notes++;
	return v[plan->n_notes - 1].file != NULL &&
	    v[plan->n_notes - 1].text != NULL;
}

static int
by_place(const void *a, const void *b)
{
	const struct exim_edit *x = a, *y = b;
	int d = strcmp(x->file, y->file);

	return d != 0 ? d : (x->line > y->line) - (x->line < y->line);
}

/* Stable, which qsort() isn't. */
void
exim_plan_sort(struct exim_plan *plan)
{
	for (size_t i = 1; i < plan->n_edits; i++)
		for (size_t k = i; k > 0 &&
		     by_place(&plan->edits[k - 1], &plan->edits[k]) > 0;
		     k--) {
			struct exim_edit e = plan->edits[k];

			plan->edits[k] = plan->edits[k - 1];
			plan->edits[k - 1] = e;
		}
}

void
exim_plan_release(struct exim_plan *plan)
{
	for (size_t i = 0; i < plan->n_edits; i++) {
		free(plan->edits[i].file);
		free(plan->edits[i].text);
		free(plan->edits[i].why);
	}
	for (size_t i = 0; i < plan->n_notes; i++) {
		free(plan->notes[i].file);
		free(plan->notes[i].text);
	}
	free(plan->edits);
	free(plan->notes);
	*plan = (struct exim_plan){ .n_edits = 0 };
}

char *
exim_plan_apply(
    const struct exim_plan *plan, const char *file, const char *text)
{
	struct exim_draft out = exim_draft_begin();
	unsigned line = 1;
	size_t i = 0;

	for (;; line++) {
		size_t n = strcspn(text, "\n");

		for (; i < plan->n_edits; i++) {
			if (strcmp(plan->edits[i].file, file) != 0)
				continue;
			if (*text != '\0' && plan->edits[i].line > line)
				break;
			if (out.v != NULL && out.n > 0 &&
			    out.v[out.n - 1] != '\n')
				exim_draft_put(&out, "\n");
			exim_draft_put(&out, "%s", plan->edits[i].text);
		}
		if (*text == '\0')
			return out.v;
		n += text[n] == '\n';
		exim_draft_put(&out, "%.*s", (int)n, text);
		text += n;
	}
}
