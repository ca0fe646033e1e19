/* SPDX-License-Identifier: ISC */
#include "ctl/setup/setup.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "common/config/config.h"
#include "common/mta/generated.h"
#include "ctl/setup/journal.h"
#include "ctl/setup/swap.h"

static void
add_line(struct setup *s, enum setup_kind kind, char *text)
{
	struct setup_line *v =
	    reallocarray(s->lines, s->n_lines + 1, sizeof(*v));

	if (v != NULL)
		s->lines = v;
	if (v == NULL || text == NULL) {
		free(text);
		s->no_memory = true;
		return;
	}
	v[s->n_lines++] = (struct setup_line){ kind, text };
}

void
setup_say(struct setup *s, enum setup_kind kind, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	add_line(s, kind, text);
}

void
setup_say_plan(struct setup *s, const struct edit_plan *plan, int quiet)
{
	for (size_t i = 0; i < plan->n_notes; i++) {
		const struct edit_note *n = &plan->notes[i];

		if (n->kind != quiet)
			setup_say(s, SETUP_NOTE, "%s:%u: %s", n->file, n->line,
			    n->text);
	}
	for (size_t i = 0; i < plan->n_edits; i++)
		setup_say(s, SETUP_DO, "%s:%u: %s", plan->edits[i].file,
		    plan->edits[i].line, plan->edits[i].why);
}

void
setup_refuse(struct setup *s, int code, const char *fmt, ...)
{
	char *text;
	va_list ap;

	assert(code != 0);
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	if (s->refused == 0)
		s->refused = code;
	add_line(s, SETUP_REFUSED, text);
}

/* --- files --- */

/* Does path still hold what the edit was made from? */
static bool
is_as_it_was(
    const char *path, const char *was, const char *now, struct err *err)
{
	if (was == NULL || (now != NULL && strcmp(was, now) == 0))
		return true;
	err_set(err, ERR_BUSY,
	    "%s isn't what was read a moment ago: somebody changes it, or it holds NUL bytes; nothing was done",
	    path);
	return false;
}

int
setup_change(struct setup *s, const char *path, const char *was,
    const char *text, mode_t mode, struct err *err)
{
	char *real = realpath(path, NULL), *before = NULL;
	size_t len;

	if (real == NULL && errno == ENOENT)
		real = strdup(path);
	if (real == NULL) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		return -1;
	}
	int there = swap_read(real, &before, &len, err);

	if (there != -1 && !is_as_it_was(path, was, before, err))
		there = -1;
	bool change = there == 0 || (there == 1 && strcmp(before, text) != 0);
	struct setup_file *v =
	    !change ? NULL : reallocarray(s->files, s->n_files + 1, sizeof(*v));
	char *after = v == NULL ? NULL : strdup(text);

	if (v != NULL)
		s->files = v;
	if (after != NULL) {
		v[s->n_files++] = (struct setup_file){ .path = real,
			.before = before,
			.after = after,
			.mode = mode };
		return 0;
	}
	free(real);
	free(before);
	if (change)
		err_nomem(err, path, strlen(text));
	return there == -1 || change ? -1 : 0;
}

void
setup_reload(struct setup *s, const char *dir)
{
	if (!string_list_add(&s->reloads, dir, strlen(dir)))
		s->no_memory = true;
}

/* --- questions --- */

/* The value of "--answer key=value"; NULL: not given. */
static const char *
given(const struct setup *s, const char *key)
{
	size_t n = strlen(key);

	for (int i = s->args->n_many; i-- > 0;)
		if (strncmp(s->args->many[i], key, n) == 0 &&
		    s->args->many[i][n] == '=')
			return s->args->many[i] + n + 1;
	return NULL;
}

bool
setup_may_ask(const char *key, size_t len)
{
	static const char *const keys[] = { "generated", "mynetworks",
		"sendmail_cf", "trial" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (strlen(keys[i]) == len && strncmp(keys[i], key, len) == 0)
			return true;
	return false;
}

const char *
setup_ask(struct setup *s, const struct setup_question *q)
{
	const char *answer = given(s, q->key);
	struct setup_question *to;

	assert(s->n_questions < SETUP_QUESTIONS_MAX);
	assert(setup_may_ask(q->key, strlen(q->key)));
	if (q->text == NULL)
		s->no_memory = true;
	for (size_t i = 0; i < s->n_questions; i++)
		if (strcmp(s->questions[i].key, q->key) == 0) {
			free(q->text);
			return s->questions[i].answer;
		}
	to = &s->questions[s->n_questions++];
	*to = *q;
	to->answer = NULL;
	for (int i = 0; answer != NULL && q->choices[i] != NULL; i++)
		if (strcmp(q->choices[i], answer) == 0)
			to->answer = q->choices[i];
	if (answer != NULL && to->answer == NULL)
		setup_refuse(s, EX_USAGE,
		    "--answer %s=%s: expected %s=%s%s%s=%s", q->key, answer,
		    q->key, q->choices[0], q->choices[1] == NULL ? "" : " or ",
		    q->choices[1] == NULL ? "" : q->key,
		    q->choices[1] == NULL ? "" : q->choices[1]);
	return to->answer;
}

/* --- whose file is it? --- */

/* The work tree of git that holds path: to be freed by the caller. */
static char *
work_tree(const char *path)
{
	char *dir = strdup(path), *slash, *git;

	while (dir != NULL && (slash = strrchr(dir, '/')) != NULL) {
		*slash = '\0';
		if (asprintf(&git, "%s/.git", dir) == -1)
			break;
		bool found = access(git, F_OK) == 0;

		free(git);
		if (found)
			return dir;
	}
	free(dir);
	return NULL;
}

void
setup_origin(struct setup *s, const char *path, const char *text)
{
	char *line = generated_line(text, NULL), *real = realpath(path, NULL);
	struct stat st;
	char *tree = real == NULL ? NULL : work_tree(real);
	struct setup_question q = {
		.key = "generated",
		.choices = { "edit", NULL },
		.meanings = { "change the file although its generator may undo it; change what it is generated from as well" },
	};

	if (line != NULL) {
		if (asprintf(&q.text,
			"%s is written by a program, which may undo the change the next time it runs: it says \"%s\"",
			path, line) == -1)
			q.text = NULL;
		(void)setup_ask(s, &q);
	}
	if (real != NULL && stat(real, &st) == 0 && st.st_nlink > 1)
		setup_say(s, SETUP_NOTE,
		    "%s has another name (a hard link), under which it stays as it is now",
		    path);
	if (tree != NULL)
		setup_say(s, SETUP_NOTE,
		    "%s is in a work tree of git (%s): commit the change there yourself",
		    path, tree);
	free(line);
	free(real);
	free(tree);
}

/* --- the rest --- */

/* The exit status that the script below wrote behind the program's output,
 * which loses it. */
static int
take_status(char *text)
{
	size_t n = strlen(text);

	while (n > 0 && strchr("0123456789", text[n - 1]) != NULL)
		n--;
	int status = (int)strtol(text + n, NULL, 10);

	text[n > 0 ? n - 1 : 0] = '\0'; /* the script's own newline */
	return status;
}

char *
setup_run(const char *const argv[], struct err *err)
{
	return setup_run_for(argv, RUN_TIMEOUT_S, err);
}

char *
setup_run_for(const char *const argv[], int timeout_s, struct err *err)
{
	const char *words[32] = { "sh", "-c",
		"\"$@\" 2>&1; status=$?; printf '\\n%s' $status", "sh" };
	size_t n = 4;

	for (size_t i = 0; argv[i] != NULL; i++) {
		assert(n + 1 < sizeof(words) / sizeof(words[0]));
		words[n++] = argv[i];
	}
	words[n] = NULL;
	char *text =
	    run_read((char *const *)(uintptr_t)words, NULL, timeout_s, err);

	if (text == NULL)
		return NULL;
	int status = take_status(text);

	if (status == 0)
		return text;
	text[strcspn(text, "\n")] = '\0';
	err_set(err, ERR_IO, "%s: ended with status %d%s%s", argv[0], status,
	    *text == '\0' ? "" : ": ", text);
	free(text);
	return NULL;
}

void
setup_release(struct setup *s)
{
	for (size_t i = 0; i < s->n_lines; i++)
		free(s->lines[i].text);
	for (size_t i = 0; i < s->n_files; i++) {
		free(s->files[i].path);
		free(s->files[i].before);
		free(s->files[i].after);
	}
	for (size_t i = 0; i < s->n_questions; i++)
		free(s->questions[i].text);
	free(s->lines);
	free(s->files);
	free(s->dir);
	free(s->log);
	free(s->domains_text);
	free(s->own);
	free(s->live.v);
	string_list_release(&s->reloads);
	string_list_release(&s->mynetworks);
	config_free(s->cfg);
	journal_close(&s->journal);
}
