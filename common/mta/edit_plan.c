/* SPDX-License-Identifier: ISC */
#include "common/mta/edit_plan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
edit_release(struct edit *e)
{
	free(e->file);
	free(e->old);
	free(e->text);
	free(e->why);
}

bool
edit_plan_add(struct edit_plan *plan, const char *file, unsigned line,
    const char *old, const char *text, const char *why)
{
	struct edit *v =
	    reallocarray(plan->edits, plan->n_edits + 1, sizeof(*v));
	struct edit e = {
		.file = strdup(file),
		.line = line,
		.old = old == NULL ? NULL : strdup(old),
		.text = strdup(text),
		.why = strdup(why),
	};

	assert(line > 0);
	if (v != NULL)
		plan->edits = v;
	if (v == NULL || e.file == NULL || (old != NULL && e.old == NULL) ||
	    e.text == NULL || e.why == NULL) {
		edit_release(&e);
		return false;
	}
	v[plan->n_edits++] = e;
	return true;
}

bool
edit_plan_note(struct edit_plan *plan, int kind, const char *file,
    unsigned line, const char *text)
{
	struct edit_note *v =
	    reallocarray(plan->notes, plan->n_notes + 1, sizeof(*v));
	struct edit_note copy = {
		.kind = kind,
		.file = strdup(file),
		.line = line,
		.text = strdup(text),
	};

	if (v != NULL)
		plan->notes = v;
	if (v == NULL || copy.file == NULL || copy.text == NULL) {
		free(copy.file);
		free(copy.text);
		return false;
	}
	v[plan->n_notes++] = copy;
	return true;
}

static int
by_place(const struct edit *a, const struct edit *b)
{
	int files = strcmp(a->file, b->file);

	return files != 0 ? files : (a->line > b->line) - (a->line < b->line);
}

/* Stable, which qsort() isn't. */
void
edit_plan_sort(struct edit_plan *plan)
{
	for (size_t i = 1; i < plan->n_edits; i++)
		for (size_t k = i; k > 0 &&
		     by_place(&plan->edits[k - 1], &plan->edits[k]) > 0;
		     k--) {
			struct edit e = plan->edits[k];

			plan->edits[k] = plan->edits[k - 1];
			plan->edits[k - 1] = e;
		}
}

const char *
edit_line(const char *text, unsigned n)
{
	while (n > 1 && *text != '\0') {
		text += strcspn(text, "\n");
		text += *text == '\n';
		n--;
	}
	return text;
}

unsigned
edit_lines(const char *text)
{
	unsigned n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

char *
edit_plan_apply(const struct edit_plan *plan, const char *file, const char *old)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	unsigned line = 1;

	if (out == NULL)
		return NULL;
	if (old == NULL)
		old = "";
	for (size_t i = 0; i < plan->n_edits; i++) {
		const struct edit *e = &plan->edits[i];

		if (strcmp(e->file, file) != 0)
			continue;
		assert(e->line >= line); /* sorted, and none meets another */
		if (e->line > line) {
			const char *at = edit_line(old, e->line - line + 1);

			(void)fwrite(old, 1, (size_t)(at - old), out);
			/* a text is added after a line without a newline */
			if (at > old && at[-1] != '\n')
				(void)putc('\n', out);
			old = at;
			line = e->line;
		}
		(void)fputs(e->text, out);
		if (e->old != NULL) {
			unsigned n = edit_lines(e->old);

			old = edit_line(old, n + 1);
			line += n;
		}
	}
	(void)fputs(old, out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

void
edit_plan_release(struct edit_plan *plan)
{
	for (size_t i = 0; i < plan->n_edits; i++)
		edit_release(&plan->edits[i]);
	for (size_t i = 0; i < plan->n_notes; i++) {
		free(plan->notes[i].file);
		free(plan->notes[i].text);
	}
	free(plan->edits);
	free(plan->notes);
	*plan = (struct edit_plan){ .n_edits = 0 };
}
