/* SPDX-License-Identifier: ISC */
#include "ctl/setup/conf_edit.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"

static const char name_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz0123456789-_*";

/* White space and comments. */
static const char *
skip_space(const char *at)
{
	for (;;) {
		at += strspn(at, " \t\r\n\f");
		if (*at == '#' || strncmp(at, "//", 2) == 0) {
			at += strcspn(at, "\n");
		} else if (strncmp(at, "/*", 2) == 0) {
			const char *end = strstr(at + 2, "*/");

			at = end == NULL ? at + strlen(at) : end + 2;
		} else {
			return at;
		}
	}
}

static const char *
skip_string(const char *at)
{
	assert(*at == '"');
	for (at++; *at != '\0' && *at != '"'; at++)
		if (*at == '\\' && at[1] != '\0')
			at++;
	return *at == '"' ? at + 1 : at;
}

/* Behind a group, a list or an array, whose brackets need not be checked: the
 * text was read by libconfig. */
static const char *
skip_nested(const char *at)
{
	unsigned depth = 0;

	do {
		if (*at == '"') {
			at = skip_string(at);
		} else {
			depth += strchr("{[(", *at) != NULL;
			depth -= strchr("}])", *at) != NULL;
			at++;
		}
		if (depth > 0)
			at = skip_space(at);
	} while (depth > 0 && *at != '\0');
	return at;
}

/* Behind a value. Strings that stand behind each other are one. */
static const char *
skip_value(const char *at)
{
	const char *end;

	if (*at != '\0' && strchr("{[(", *at) != NULL)
		return skip_nested(at);
	if (*at != '"')
		return at + strcspn(at, " \t\r\n\f;,}])#\"");
	do {
		end = skip_string(at);
		at = skip_space(end);
	} while (*at == '"');
	return end;
}

/* A setting: where its name, value and end are. */
struct setting {
	const char *name, *value, *end;
	size_t name_len;
};

/* The setting at *at, which moves behind it. 1, 0 at the end of the group or
 * text, -1 when there is something else. */
static int
next_setting(const char **at, struct setting *s)
{
	const char *p = skip_space(*at);

	while (strncmp(p, "@include", 8) == 0)
		p = skip_space(p + strcspn(p, "\n"));
	if (*p == '\0' || *p == '}') {
		*at = p;
		return 0;
	}
	s->name = p;
	s->name_len = strspn(p, name_chars);
	p = skip_space(p + s->name_len);
	if (s->name_len == 0 || (*p != '=' && *p != ':'))
		return -1;
	s->value = skip_space(p + 1);
	s->end = skip_value(s->value);
	p = skip_space(s->end);
	*at = *p == ';' || *p == ',' ? p + 1 : s->end;
	return 1;
}

/* 1 found, 0 not (*end_r: where the group ends), -1 can't be read. */
static int
find(const char *at, const char *name, size_t len, struct setting *s,
    const char **end_r)
{
	int found;

	while ((found = next_setting(&at, s)) == 1)
		if (s->name_len == len && strncmp(s->name, name, len) == 0)
			return 1;
	*end_r = at;
	return found;
}

/* The comment that shows the key's default, "# name = ...;": where the line
 * behind it begins, or NULL. */
static const char *
behind_default(const char *from, const char *to, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = from; line < to;) {
		const char *p = line + strspn(line, " \t");

		if (*p == '#') {
			p += 1 + strspn(p + 1, " \t");
			if (strncmp(p, name, len) == 0 &&
			    p[len + strspn(p + len, " \t")] == '=') {
				p += strcspn(p, ";\n");
				while (*p == '\n' &&
				    p[1 + strspn(p + 1, " \t")] == '#')
					p += 1 + strcspn(p + 1, ";\n");
				p += strcspn(p, "\n");
				return *p == '\n' && p < to ? p + 1 : NULL;
			}
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return NULL;
}

/* text with from..to replaced by the words. */
static char *
replace(const char *text, const char *from, const char *to, const char *a,
    const char *b, const char *c, const char *d, const char *e)
{
	char *result;

	return asprintf(&result, "%.*s%s%s%s%s%s%s", (int)(from - text), text,
		   a, b, c, d, e, to) == -1
	    ? NULL
	    : result;
}

/* A line for the key in the group that begins at open, '{'. */
static char *
insert(const char *text, const char *open, const char *end, const char *name,
    const char *value)
{
	const char *at = behind_default(open, end, name);

	if (at == NULL && open[1] == '\n')
		at = open + 2;
	if (at != NULL)
		return replace(text, at, at, "\t", name, " = ", value, ";\n");
	return replace(
	    text, open + 1, open + 1, "\n\t", name, " = ", value, ";");
}

char *
conf_edit_set(
    const char *text, const char *key, const char *value, struct err *err)
{
	size_t n = strcspn(key, ".");
	const char *name = key + n + 1, *end = text;
	struct setting group = { 0 }, s = { 0 };
	char section[64], *result = NULL;

	assert(n < sizeof(section) && key[n] == '.');
	memcpy(section, key, n);
	section[n] = '\0';
	int found = find(text, section, n, &group, &end);

	if (found == 1 && *group.value == '{') {
		found = find(group.value + 1, name, strlen(name), &s, &end);
		if (found == 1)
			result = replace(
			    text, s.value, s.end, value, "", "", "", "");
		else if (found == 0)
			result = insert(text, group.value, end, name, value);
	} else if (found == 1) {
		found = -1;
	} else if (found == 0) {
		const char *all = text + strlen(text);

		if (asprintf(&result, "%s%s%s:\n{\n\t%s = %s;\n};\n", text,
			all > text && all[-1] != '\n' ? "\n\n" : "\n", section,
			name, value) == -1)
			result = NULL;
	}
	if (found == -1)
		err_set(err, ERR_INVALID,
		    "the setting %s can't be changed: the text around it isn't understood",
		    key);
	else if (result == NULL)
		err_nomem(err, key, strlen(text));
	return result;
}
