/* SPDX-License-Identifier: ISC */
#include "common/mta/exim_conf.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mta/exim_text.h"

static const char blank[] = " \t\r";

/* One logical line: "\" at the end joins the next, whose blanks go. */
static char *
next_line(char **at)
{
	char *line = *at, *to;

	if (*line == '\0')
		return NULL;
	to = line;
	for (char *from = line;;) {
		size_t n = strcspn(from, "\n");
		bool more = n > 0 && from[n - 1] == '\\' && from[n] == '\n';
		size_t keep = more ? n - 1 : n;

		memmove(to, from, keep);
		to += keep;
		from += n + (from[n] == '\n');
		if (!more) {
			*at = from;
			break;
		}
		from += strspn(from, blank);
	}
	/* to may be *at when nothing was joined and the text ends here */
	*to = '\0';
	return line;
}

static bool
add(struct exim_conf *cf, size_t *room, struct exim_line line)
{
	if (cf->n == *room) {
		size_t more = *room == 0 ? 512 : *room * 2;
		struct exim_line *v = reallocarray(cf->v, more, sizeof(*v));

		if (v == NULL)
			return false;
		cf->v = v;
		*room = more;
	}
	cf->v[cf->n++] = line;
	return true;
}

/* "name:" alone on its line; in front of an ACL's first statement also
 * "name: accept". */
static char *
is_item(char *text)
{
	size_t n = 0;

	while (isalnum((unsigned char)text[n]) || text[n] == '_')
		n++;
	if (n == 0 || text[n] != ':')
		return NULL;
	text[n] = '\0';
	return exim_text_trim(text + n + 1);
}

bool
exim_conf_parse(char *text, struct exim_conf *cf)
{
	static char none[] = "";
	const char *section = none, *item = none;
	char *at = text, *line;
	size_t room = 0;

	assert(text != NULL);
	*cf = (struct exim_conf){ .text = text };
	while ((line = next_line(&at)) != NULL) {
		char *rest;

		line = exim_text_trim(line);
		if (*line == '#' || *line == '\0')
			continue;
		if (strncmp(line, "begin", 5) == 0 &&
		    strchr(blank, line[5]) != NULL && line[5] != '\0') {
			section = exim_text_trim(line + 6);
			item = none;
			continue;
		}
		rest = *section == '\0' ? NULL : is_item(line);
		if (rest != NULL) {
			item = line;
			line = rest;
			if (*line == '\0')
				continue;
		}
		if (!add(cf, &room, (struct exim_line){ section, item, line }))
			return false;
	}
	return true;
}

void
exim_conf_release(struct exim_conf *cf)
{
	free(cf->text);
	free(cf->v);
	memset(cf, 0, sizeof(*cf));
}

/* What stands behind "word" and its "="; NULL. */
static const char *
behind(const char *text, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(text, word, n) != 0)
		return NULL;
	text += n + strspn(text + n, blank);
	return *text != '=' ? NULL : text + 1 + strspn(text + 1, blank);
}

static const char *
skip_hide(const char *text)
{
	return strncmp(text, "hide ", 5) == 0
	    ? text + 5 + strspn(text + 5, blank)
	    : text;
}

const char *
exim_option(const struct exim_conf *cf, const char *name)
{
	const char *found = NULL;

	for (size_t i = 0; i < cf->n; i++) {
		const char *value = *cf->v[i].section != '\0'
		    ? NULL
		    : behind(skip_hide(cf->v[i].text), name);

		if (value != NULL)
			found = value;
	}
	return found;
}

const char *
exim_list(const struct exim_conf *cf, const char *kind, const char *name)
{
	size_t n = strlen(kind);

	for (size_t i = 0; i < cf->n; i++) {
		const char *text = skip_hide(cf->v[i].text), *value;

		if (*cf->v[i].section != '\0' || strncmp(text, kind, n) != 0 ||
		    strspn(text + n, blank) == 0)
			continue;
		text += n + strspn(text + n, blank);
		/* "domainlist_cache" and such are other words */
		value = behind(text, name);
		if (value != NULL)
			return value;
	}
	return NULL;
}

const char *
exim_verb(const char *text, char *verb, size_t size)
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

const char *
exim_condition(const char *text, char *name, size_t size, bool *negated_r)
{
	size_t n = 0;

	assert(size > 0);
	*negated_r = *text == '!';
	text += *negated_r;
	text += strspn(text, blank);
	while (isalnum((unsigned char)text[n]) || text[n] == '_')
		n++;
	(void)snprintf(name, size, "%.*s", (int)n, text);
	text += n + strspn(text + n, blank);
	return n == 0 || *text != '=' ? NULL
				      : text + 1 + strspn(text + 1, blank);
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
