/* SPDX-License-Identifier: ISC */
#include "common/mta/exim_source.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char blank[] = " \t\r";

struct reader {
	struct exim_source *src;
	bool failed; /* no memory */
	bool in_main, in_acls;
	/* the statement that is being read; NULL: none */
	struct exim_statement *open;
	unsigned open_depth; /* .ifdefs around its verb */
	bool deeper; /* it goes on within an .ifdef that is still open */
};

/* The statement's first word; returns what stands behind it, or NULL. */
static const char *
find_verb(const char *text, char *verb, size_t size)
{
	static const char *const verbs[] = {
		"accept",
		"deny",
		"require",
		"warn",
		"drop",
		"defer",
		"discard",
	};

	assert(size > 0);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		size_t n = strlen(verbs[i]);

		if (strncmp(text, verbs[i], n) == 0 &&
		    (text[n] == '\0' || strchr(blank, text[n]) != NULL)) {
			(void)snprintf(verb, size, "%s", verbs[i]);
			return text + n + strspn(text + n, blank);
		}
	}
	return NULL;
}

static void *
grow(struct reader *r, void **v, size_t *n, size_t size)
{
	char *more = reallocarray(*v, *n + 1, size);

	if (more == NULL) {
		r->failed = true;
		return NULL;
	}
	*v = more;
	return memset(more + size * (*n)++, 0, size);
}

static struct exim_acl *
current(const struct reader *r)
{
	return r->src->n_acls == 0 ? NULL : &r->src->acls[r->src->n_acls - 1];
}

static char *
copy(struct reader *r, const char *text, size_t len)
{
	char *s = strndup(text, len);

	r->failed |= s == NULL;
	return s;
}

/* "domains = x", "! domains = x", "endpass" */
static void
read_condition(struct reader *r, const struct exim_text_line *l,
    const char *text, const char *raw)
{
	struct exim_statement *s = r->open;
	struct exim_condition *c;
	size_t n = 0;

	if (*text == '\0')
		return;
	c = grow(r, (void **)&s->v, &s->n, sizeof(*c));
	if (c == NULL)
		return;
	c->negated = *text == '!';
	text += c->negated + strspn(text + c->negated, blank);
	while (isalnum((unsigned char)text[n]) || text[n] == '_')
		n++;
	c->name = copy(r, text, n);
	/* "set acl_m0 = x": the variable is part of the value */
	text += n + strspn(text + n, blank);
	text += *text == '=' ? 1 + strspn(text + 1, blank) : 0;
	c->value = copy(r, text, strlen(text));
	n = strcspn(raw, "=");
	if (raw[n] == '=' && strcmp(c->name == NULL ? "" : c->name, "set") != 0)
		raw += n + 1 + strspn(raw + n + 1, blank);
	else
		raw = text;
	c->raw = copy(r, raw, strlen(raw));
	if (l->depth == r->open_depth && s->file == l->file)
		s->behind = l->next;
	else
		r->deeper = true;
}

static void
begin_statement(struct reader *r, const struct exim_text_line *l,
    const char *verb, const char *rest)
{
	struct exim_acl *acl = current(r);
	struct exim_statement *s;

	if (acl == NULL)
		return;
	s = grow(r, (void **)&acl->v, &acl->n, sizeof(*s));
	r->open = s;
	if (s == NULL)
		return;
	s->verb = copy(r, verb, strlen(verb));
	s->file = l->file;
	s->line = l->number;
	s->before = exim_text_above(l->file, l->number);
	s->behind = l->next;
	r->open_depth = l->depth;
	r->deeper = false;
	/* of the line as it is written: what stands behind the verb */
	const char *raw = strstr(l->raw, verb);

	read_condition(r, l, rest, raw == NULL ? rest : raw + strlen(verb));
}

static void
begin_acl(struct reader *r, const struct exim_text_line *l, const char *name,
    size_t len)
{
	struct exim_source *src = r->src;
	struct exim_acl *acl =
	    grow(r, (void **)&src->acls, &src->n_acls, sizeof(*acl));

	r->open = NULL;
	if (acl == NULL)
		return;
	acl->name = copy(r, name, len);
	acl->file = l->file;
	acl->line = l->number;
	acl->before = exim_text_above(l->file, l->number);
	acl->end = l->next;
}

static size_t
label(const char *text)
{
	size_t n = 0;

	while (isalnum((unsigned char)text[n]) || text[n] == '_')
		n++;
	return text[n] == ':' ? n : 0;
}

static void
read_acl_line(
    struct reader *r, const struct exim_text_line *l, const char *text)
{
	char verb[16];
	const char *rest;
	size_t n = label(text);

	if (n > 0) {
		begin_acl(r, l, text, n);
		text += n + 1 + strspn(text + n + 1, blank);
		if (*text == '\0')
			return;
	}
	rest = find_verb(text, verb, sizeof(verb));
	if (rest != NULL)
		begin_statement(r, l, verb, rest);
	else if (r->open != NULL)
		read_condition(r, l, text, l->raw);
}

/* How much of "hostlist name" is the name of a setting; 0: nothing. */
static size_t
option_name(const char *text)
{
	static const char *const lists[] = { "addresslist", "domainlist",
		"hostlist", "localpartlist" };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		const char *rest = exim_text_after(text, lists[i]);

		if (rest != NULL)
			n = (size_t)(rest - text);
	}
	while (isalnum((unsigned char)text[n]) || text[n] == '_')
		n++;
	return n;
}

static void
read_option(struct reader *r, const char *text)
{
	struct string_list *options = &r->src->options;
	const char *value;
	size_t n;

	if (strncmp(text, "hide ", 5) == 0)
		text += 5 + strspn(text + 5, blank);
	n = option_name(text);
	value = text + n + strspn(text + n, blank);
	if (n == 0 || *value != '=')
		return;
	value += 1 + strspn(value + 1, blank);
	if (!string_list_add(options, text, n) ||
	    !string_list_add(options, value, strlen(value)))
		r->failed = true;
}

static void
begin_section(struct reader *r, const char *name)
{
	r->in_main = false;
	r->in_acls = strcasecmp(name, "acl") == 0;
	r->open = NULL;
}

/* The end of an .ifdef, or a line that is left out: where does the statement
 * end for one who reads the file? */
static void
read_inactive(struct reader *r, const struct exim_text_line *l)
{
	char verb[16];

	if (r->open == NULL || r->open->file != l->file)
		return;
	if (!l->closes) {
		if (find_verb(l->raw, verb, sizeof(verb)) == NULL)
			r->deeper = true;
	} else if (r->deeper && l->depth == r->open_depth) {
		r->open->behind = l->next;
		r->deeper = false;
	}
}

static void
read_line(void *to, const struct exim_text_line *l)
{
	struct reader *r = to;
	const char *rest;

	if (!l->active || l->closes)
		read_inactive(r, l);
	else if ((rest = exim_text_after(l->text, "begin")) != NULL)
		begin_section(r, rest);
	else if (r->in_main)
		read_option(r, l->text);
	else if (r->in_acls)
		read_acl_line(r, l, l->text);
	if (r->open != NULL && r->open->file == current(r)->file)
		current(r)->end = r->open->behind;
}

bool
exim_source_read(const struct exim_file *files, size_t n, size_t n_main,
    struct exim_source *src)
{
	struct reader r = { .src = src, .in_main = true };

	*src = (struct exim_source){ .n_acls = 0 };
	return exim_text_read(&src->text, files, n, n_main, read_line, &r) &&
	    !r.failed;
}

static void
release_statement(struct exim_statement *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].name);
		free(s->v[i].value);
		free(s->v[i].raw);
	}
	free(s->v);
	free(s->verb);
}

void
exim_source_release(struct exim_source *src)
{
	for (size_t i = 0; i < src->n_acls; i++) {
		for (size_t k = 0; k < src->acls[i].n; k++)
			release_statement(&src->acls[i].v[k]);
		free(src->acls[i].v);
		free(src->acls[i].name);
	}
	free(src->acls);
	string_list_release(&src->options);
	exim_text_release(&src->text);
	*src = (struct exim_source){ .n_acls = 0 };
}

const struct exim_acl *
exim_source_acl(const struct exim_source *src, const char *name, size_t len)
{
	for (size_t i = 0; i < src->n_acls; i++)
		if (strncmp(src->acls[i].name, name, len) == 0 &&
		    src->acls[i].name[len] == '\0')
			return &src->acls[i];
	return NULL;
}

const char *
exim_source_list(
    const struct exim_source *src, const char *kind, const char *name)
{
	const char *found = NULL;

	for (size_t i = 0; i + 1 < src->options.n; i += 2) {
		const char *rest = exim_text_after(src->options.v[i], kind);

		if (rest != NULL && strcmp(rest, name) == 0)
			found = src->options.v[i + 1];
	}
	return found;
}

const char *
exim_source_option(const struct exim_source *src, const char *name)
{
	const char *found = NULL;

	for (size_t i = 0; i + 1 < src->options.n; i += 2)
		if (strcmp(src->options.v[i], name) == 0)
			found = src->options.v[i + 1];
	return found;
}

const struct exim_condition *
exim_statement_find(const struct exim_statement *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].name, name) == 0)
			return &s->v[i];
	return NULL;
}
