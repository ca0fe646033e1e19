/* SPDX-License-Identifier: ISC */
/* report - the plan of setup for people, and as JSON. */
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "ctl/diff.h"
#include "ctl/out.h"
#include "ctl/setup/setup.h"

static const struct {
	const char *title, *key;
} kinds[] = {
	[SETUP_FOUND] = { "Found", "found" },
	[SETUP_DO] = { "To do", "do" },
	[SETUP_NOTE] = { "Mind", "notes" },
	[SETUP_REFUSED] = { "In the way", "refused" },
};
static const size_t n_kinds = sizeof(kinds) / sizeof(kinds[0]);

static void
print_lines(const struct setup *s, enum setup_kind kind)
{
	bool any = false;

	for (size_t i = 0; i < s->n_lines; i++) {
		if (s->lines[i].kind != kind)
			continue;
		if (!any)
			(void)printf("%s:\n", kinds[kind].title);
		any = true;
		(void)fputs("  - ", stdout);
		out_text(s->lines[i].text);
		(void)putchar('\n');
	}
	if (any)
		(void)putchar('\n');
}

static void
print_question(const struct setup_question *q)
{
	(void)fputs("  - ", stdout);
	out_text(q->text);
	(void)putchar('\n');
	for (int i = 0; q->choices[i] != NULL; i++)
		(void)printf("      %s --answer %s=%s: %s\n",
		    q->answer == q->choices[i] ? "=>" : "  ", q->key,
		    q->choices[i], q->meanings[i]);
}

/* A new file that is made from a sample: what is different from that. */
static void
print_file(const struct setup_file *f)
{
	const char *before = f->before != NULL ? f->before : f->sample;

	if (f->before == NULL && f->sample != NULL) {
		out_text(f->path);
		(void)puts(": new, as it is shipped, but for");
	}
	if (diff_print(stdout, f->path, before, f->after, true) == -1)
		(void)printf("%s: changes, too long to show\n", f->path);
}

void
setup_print(const struct setup *s)
{
	for (enum setup_kind k = 0; k < n_kinds; k++)
		print_lines(s, k);
	if (s->n_questions > 0) {
		(void)puts("Questions:");
		for (size_t i = 0; i < s->n_questions; i++)
			print_question(&s->questions[i]);
		(void)putchar('\n');
	}
	for (size_t i = 0; i < s->n_files; i++)
		print_file(&s->files[i]);
}

static void
json_question(struct json *j, const struct setup_question *q)
{
	json_open(j, NULL, '{');
	json_text(j, "key", q->key);
	json_text(j, "question", q->text);
	json_text(j, "answer", q->answer);
	json_open(j, "choices", '[');
	for (int i = 0; q->choices[i] != NULL; i++) {
		json_open(j, NULL, '{');
		json_text(j, "value", q->choices[i]);
		json_text(j, "meaning", q->meanings[i]);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
}

static void
json_file(struct json *j, const struct setup_file *f)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	json_open(j, NULL, '{');
	json_text(j, "path", f->path);
	json_bool(j, "new", f->before == NULL);
	if (to != NULL) {
		(void)diff_print(to, f->path, f->before, f->after, true);
		if (fclose(to) == 0)
			json_text(j, "diff", text);
		free(text);
	}
	json_close(j, '}');
}

void
setup_print_json(const struct setup *s)
{
	struct json j = { .to = stdout };

	json_open(&j, NULL, '{');
	json_text(&j, "mta", s->mta->name);
	json_text(&j, "config", s->dir);
	json_bool(&j, "monitor", s->monitor);
	json_bool(&j, "changes", !setup_changes_nothing(s));
	for (enum setup_kind k = 0; k < n_kinds; k++) {
		json_open(&j, kinds[k].key, '[');
		for (size_t i = 0; i < s->n_lines; i++)
			if (s->lines[i].kind == k)
				json_text(&j, NULL, s->lines[i].text);
		json_close(&j, ']');
	}
	json_open(&j, "questions", '[');
	for (size_t i = 0; i < s->n_questions; i++)
		json_question(&j, &s->questions[i]);
	json_close(&j, ']');
	json_open(&j, "files", '[');
	for (size_t i = 0; i < s->n_files; i++)
		json_file(&j, &s->files[i]);
	json_close(&j, ']');
	json_close(&j, '}');
	json_line(&j);
}
