/* SPDX-License-Identifier: ISC */
#include "common/mta/sendmail_cf.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool
add(struct sendmail_cf *cf, size_t *room, struct sendmail_line line)
{
	if (cf->n == *room) {
		size_t more = *room == 0 ? 2048 : *room * 2;
		struct sendmail_line *v = reallocarray(cf->v, more, sizeof(*v));

		if (v == NULL)
			return false;
		cf->v = v;
		*room = more;
	}
	cf->v[cf->n++] = line;
	return true;
}

bool
sendmail_cf_parse(char *text, struct sendmail_cf *cf)
{
	static char none[] = "";
	char *at = text, *ruleset = none;
	unsigned number = 1;
	size_t room = 0;

	assert(text != NULL);
	*cf = (struct sendmail_cf){ .text = text };
	while (*at != '\0') {
		char *line = at;
		unsigned began = number;

		/* a line that begins with white space goes on */
		for (;;) {
			at += strcspn(at, "\n");
			number += *at == '\n';
			if (*at == '\0' || (at[1] != ' ' && at[1] != '\t') ||
			    *line == '#')
				break;
			*at++ = ' ';
		}
		if (*at == '\n')
			*at++ = '\0';
		size_t len = strlen(line);

		if (len > 0 && line[len - 1] == '\r')
			line[len - 1] = '\0';
		if (*line == '\0' || *line == '#')
			continue;
		if (*line == 'S') {
			ruleset = line + 1;
			ruleset[strcspn(ruleset, " \t=")] = '\0';
			continue;
		}
		if (!add(cf, &room,
			(struct sendmail_line){ .line = began,
			    .kind = *line,
			    .ruleset = *line == 'R' ? ruleset : none,
			    .text = line + 1 }))
			return false;
	}
	return true;
}

void
sendmail_cf_release(struct sendmail_cf *cf)
{
	free(cf->text);
	free(cf->v);
	memset(cf, 0, sizeof(*cf));
}

char *
sendmail_name(char *text, char *buf)
{
	size_t n = *text == '{' ? strcspn(text, "}") : 1;

	if (*text == '\0') {
		*buf = '\0';
		return text;
	}
	if (*text != '{') {
		buf[0] = *text;
		buf[1] = '\0';
		return text + 1;
	}
	(void)snprintf(buf, SENDMAIL_NAME_MAX, "%.*s", (int)n - 1, text + 1);
	return text + n + (text[n] == '}');
}

char *
sendmail_class_file(char *text, bool *optional_r)
{
	*optional_r = strncmp(text, "-o", 2) == 0;
	text += *optional_r ? 2 : 0;
	text += strspn(text, " \t");
	text[strcspn(text, " \t")] = '\0';
	return text;
}

const char *
sendmail_option(const char *text, const char *name)
{
	size_t n = strlen(name);

	assert(*name != '\0');
	text += strspn(text, " \t");
	if (strncasecmp(text, name, n) != 0)
		return NULL;
	text += n + strspn(text + n, " \t");
	return *text != '=' ? NULL : text + 1 + strspn(text + 1, " \t");
}

bool
sendmail_equate(const char *text, char letter, char *buf, size_t size)
{
	assert(letter != '\0' && size > 0);
	while (*text != '\0') {
		text += strspn(text, " \t,");
		size_t n = strcspn(text, ",");
		const char *equals = memchr(text, '=', n);

		if (equals != NULL &&
		    toupper((unsigned char)*text) ==
			toupper((unsigned char)letter)) {
			equals++;
			equals += strspn(equals, " \t");
			int len =
			    equals > text + n ? 0 : (int)(text + n - equals);

			while (
			    len > 0 && strchr(" \t", equals[len - 1]) != NULL)
				len--;
			(void)snprintf(buf, size, "%.*s", len, equals);
			return true;
		}
		text += n;
	}
	return false;
}

bool
sendmail_lists_filter(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (list += strspn(list, " \t,;"); *list != '\0';
	     list += strspn(list, " \t,;")) {
		size_t len = strcspn(list, " \t,;");

		if (len == n && strncmp(list, name, n) == 0)
			return true;
		list += len;
	}
	return false;
}
