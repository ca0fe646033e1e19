/* SPDX-License-Identifier: ISC */
#include "common/mta/exim_text.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	IFDEF_MAX = 32, /* .ifdef in .ifdef */
	INCLUDE_MAX = 8, /* files in files */
};

static const char blank[] = " \t\r";

struct reader {
	struct exim_text *t;
	const struct exim_file *files;
	size_t n;
	void (*take)(void *to, const struct exim_text_line *l);
	void *to;
	bool failed; /* no memory */
	struct {
		bool active; /* its lines are read */
		bool taken; /* one of its branches was */
	} stack[IFDEF_MAX];
	unsigned depth;
	unsigned includes;
};

static void read_file(struct reader *r, const struct exim_file *file);

char *
exim_text_trim(char *text)
{
	text += strspn(text, blank);
	for (size_t n = strlen(text);
	     n > 0 && strchr(blank, text[n - 1]) != NULL; n--)
		text[n - 1] = '\0';
	return text;
}

/* --- lines --- */

static bool
is_comment(const char *line)
{
	return line[strspn(line, blank)] == '#';
}

/* The next logical line at *at, where physical line l->next begins. Lines that
 * are too long lose their end. */
static bool
next_line(const char **at, struct exim_text_line *l)
{
	size_t used = 0;
	bool more = true;

	if (**at == '\0')
		return false;
	l->number = l->next;
	while (more && **at != '\0') {
		const char *from = *at;
		size_t n = strcspn(from, "\n");

		*at += n + (from[n] == '\n');
		l->next++;
		if (used > 0 && is_comment(from))
			continue;
		while (n > 0 && strchr(blank, from[n - 1]) != NULL)
			n--;
		more = n > 0 && from[n - 1] == '\\' && !is_comment(from);
		n -= more;
		size_t skip = used > 0 ? strspn(from, blank) : 0;

		if (skip > n)
			skip = n;
		n -= skip;
		if (n > sizeof(l->raw) - 1 - used)
			n = sizeof(l->raw) - 1 - used;
		memcpy(l->raw + used, from + skip, n);
		used += n;
	}
	l->raw[used] = '\0';
	return true;
}

unsigned
exim_text_above(const struct exim_file *file, unsigned number)
{
	const char *at = file->text;
	unsigned first = 1; /* of the comment lines that end here */

	for (unsigned i = 1; i < number; i++) {
		if (!is_comment(at))
			first = i + 1;
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
	return first;
}

/* --- macros --- */

static size_t
macro_name(const char *text)
{
	size_t n = 0;

	if (!isupper((unsigned char)*text) && *text != '_')
		return 0;
	while (isalnum((unsigned char)text[n]) || text[n] == '_')
		n++;
	return n;
}

static char **
macro_find(const struct reader *r, const char *name, size_t len)
{
	struct string_list *macros = &r->t->macros;

	for (size_t i = 0; i + 1 < macros->n; i += 2)
		if (strncmp(macros->v[i], name, len) == 0 &&
		    macros->v[i][len] == '\0')
			return &macros->v[i + 1];
	return NULL;
}

/* Replace one macro wherever it stands in text. */
static void
replace(char *text, const char *name, const char *value)
{
	size_t n = strlen(name), m = strlen(value);
	char *at = text;

	while ((at = strstr(at, name)) != NULL) {
		size_t rest = strlen(at + n) + 1;

		if ((size_t)(at - text) + m + rest > EXIM_LINE_MAX)
			return;
		memmove(at + m, at + n, rest);
		memcpy(at, value, m);
		at += m;
	}
}

static void
replace_macros(const struct reader *r, char *text)
{
	const struct string_list *macros = &r->t->macros;

	for (size_t i = 0; i + 1 < macros->n; i += 2)
		replace(text, macros->v[i], macros->v[i + 1]);
}

/* "NAME = value", or "NAME == value", which redefines. text: room. */
static bool
read_macro(struct reader *r, const char *line, char *text)
{
	size_t n = macro_name(line);
	const char *value = line + n + strspn(line + n, blank);
	char **old;

	if (n == 0 || *value != '=')
		return false;
	value += 1 + (value[1] == '=');
	(void)snprintf(text, EXIM_LINE_MAX, "%s", value + strspn(value, blank));
	replace_macros(r, text);
	old = macro_find(r, line, n);
	if (old != NULL) {
		char *copy = strdup(text);

		r->failed |= copy == NULL;
		if (copy != NULL) {
			free(*old);
			*old = copy;
		}
	} else if (!string_list_add(&r->t->macros, line, n) ||
	    !string_list_add(&r->t->macros, text, strlen(text))) {
		r->failed = true;
	}
	return true;
}

/* --- .ifdef --- */

static bool
active(const struct reader *r)
{
	for (unsigned i = 0; i < r->depth && i < IFDEF_MAX; i++)
		if (!r->stack[i].active)
			return false;
	return true;
}

/* Is one of the names a macro? */
static bool
any_defined(const struct reader *r, const char *names)
{
	for (;;) {
		names += strspn(names, blank);
		size_t n = strcspn(names, blank);

		if (n == 0)
			return false;
		if (macro_find(r, names, n) != NULL)
			return true;
		names += n;
	}
}

static void
branch(struct reader *r, bool want)
{
	if (r->depth == 0 || r->depth > IFDEF_MAX)
		return;
	bool take = want && !r->stack[r->depth - 1].taken;

	r->stack[r->depth - 1].active = take;
	r->stack[r->depth - 1].taken |= take;
}

const char *
exim_text_after(const char *line, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(line, word, n) != 0 ||
	    (line[n] != '\0' && strchr(blank, line[n]) == NULL))
		return NULL;
	return line + n + strspn(line + n, blank);
}

/* Returns whether the line was one of these. */
static bool
read_ifdef(struct reader *r, const char *line, bool *closes_r)
{
	const char *rest;

	if ((rest = exim_text_after(line, ".ifdef")) != NULL ||
	    (rest = exim_text_after(line, ".ifndef")) != NULL) {
		bool want = any_defined(r, rest) == (line[3] == 'd');

		if (r->depth < IFDEF_MAX)
			r->stack[r->depth].taken = false;
		r->depth++;
		branch(r, want);
	} else if ((rest = exim_text_after(line, ".elifdef")) != NULL ||
	    (rest = exim_text_after(line, ".elifndef")) != NULL) {
		branch(r, any_defined(r, rest) == (line[5] == 'd'));
	} else if (exim_text_after(line, ".else") != NULL) {
		branch(r, true);
	} else if (exim_text_after(line, ".endif") != NULL) {
		r->depth -= r->depth > 0;
		*closes_r = true;
	} else {
		return false;
	}
	return true;
}

/* --- files --- */

static void read_file(struct reader *r, const struct exim_file *file);

static bool
read_include(struct reader *r, const char *text)
{
	const char *rest = exim_text_after(text, ".include");
	bool optional = rest == NULL;
	struct exim_text *t = r->t;
	char path[1024];

	if (optional)
		rest = exim_text_after(text, ".include_if_exists");
	if (rest == NULL)
		return false;
	size_t n = strlen(rest);

	if (n > 1 && *rest == '"' && rest[n - 1] == '"') {
		rest++;
		n -= 2;
	}
	(void)snprintf(path, sizeof(path), "%.*s", (int)n, rest);
	if (!string_list_has(&t->includes, path) &&
	    !string_list_add(&t->includes, path, strlen(path)))
		r->failed = true;
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->files[i].path, path) == 0) {
			read_file(r, &r->files[i]);
			return true;
		}
	if (!optional && !string_list_has(&t->missing, path) &&
	    !string_list_add(&t->missing, path, strlen(path)))
		r->failed = true;
	return true;
}

static void
read_line(struct reader *r, struct exim_text_line *l)
{
	char *text = exim_text_trim(l->raw);

	if (*text == '#' || *text == '\0')
		return;
	memmove(l->raw, text, strlen(text) + 1);
	*l->text = '\0';
	l->closes = false;
	if (!read_ifdef(r, l->raw, &l->closes)) {
		if (active(r) && read_macro(r, l->raw, l->text))
			return;
		(void)snprintf(l->text, sizeof(l->text), "%s", l->raw);
		replace_macros(r, l->text);
		if (active(r) && read_include(r, l->text))
			return;
	} else if (!l->closes) {
		return;
	}
	l->active = active(r);
	l->depth = r->depth;
	r->take(r->to, l);
}

static void
read_file(struct reader *r, const struct exim_file *file)
{
	const char *at = file->text;
	struct exim_text_line *l = malloc(sizeof(*l));

	if (l == NULL || r->includes == INCLUDE_MAX) {
		r->failed |= l == NULL;
		free(l);
		return;
	}
	*l->raw = *l->text = '\0';
	l->file = file;
	l->next = 1;
	r->includes++;
	while (next_line(&at, l))
		read_line(r, l);
	r->includes--;
	free(l);
}

bool
exim_text_read(struct exim_text *t, const struct exim_file *files, size_t n,
    size_t n_main, void (*take)(void *to, const struct exim_text_line *l),
    void *to)
{
	struct reader r = {
		.t = t, .files = files, .n = n, .take = take, .to = to
	};

	assert(n_main <= n);
	*t = (struct exim_text){ .macros = { .n = 0 } };
	for (size_t i = 0; i < n_main; i++)
		read_file(&r, &files[i]);
	return !r.failed;
}

void
exim_text_release(struct exim_text *t)
{
	string_list_release(&t->macros);
	string_list_release(&t->missing);
	string_list_release(&t->includes);
}

bool
exim_member(const char **at, char *sep, char *buf, size_t size)
{
	const char *from = *at;
	size_t n = 0;
	int depth = 0;

	assert(size > 0);
	from += strspn(from, " \t\r\"");
	if (*sep == 0) {
		*sep = ':';
		if (*from == '<' && from[1] != '\0') {
			*sep = from[1];
			from += 2 + strspn(from + 2, blank);
		}
	}
	if (*from == '\0')
		return false;
	for (; *from != '\0'; from++) {
		depth += *from == '{';
		depth -= *from == '}' && depth > 0;
		if (*from == *sep && depth == 0) {
			if (from[1] != *sep)
				break;
			from++; /* doubled: itself */
		}
		if (n < size - 1)
			buf[n++] = *from;
	}
	while (n > 0 && strchr(" \t\r\"", buf[n - 1]) != NULL)
		n--;
	buf[n] = '\0';
	*at = *from == '\0' ? from : from + 1;
	return true;
}
