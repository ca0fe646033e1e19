/* SPDX-License-Identifier: ISC */
#include "ctl/commands/flat_record.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hex.h"

const char *
flat_get(const struct flat *f, const char *name)
{
	for (int i = 0; i < f->n; i++)
		if (strcmp(f->name[i], name) == 0)
			return f->value[i];
	return NULL;
}

static char *
skip(char *p)
{
	return p + strspn(p, " \t\r");
}

static bool
hex4(const char *p, uint32_t *v)
{
	*v = 0;
	for (int i = 0; i < 4; i++) {
		int d = hex_digit(p[i]);

		if (d < 0)
			return false;
		*v = *v << 4 | (uint32_t)d;
	}
	return true;
}

static char *
put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* A string in place; returns what is behind it, NULL when it is none. NUL and
 * halves of surrogate pairs are refused. */
static char *
json_word(char *p, char **word)
{
	static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	char *to = p + 1;

	if (*p++ != '"')
		return NULL;
	*word = to;
	while (*p != '"') {
		const char *e;
		uint32_t c;

		if ((unsigned char)*p < 0x20)
			return NULL;
		if (*p != '\\') {
			*to++ = *p++;
			continue;
		}
		if (p[1] == 'u') {
			if (!hex4(p + 2, &c) || c == 0 ||
			    (c >= 0xd800 && c <= 0xdfff))
				return NULL;
			to = put_utf8(to, c);
			p += 6;
			continue;
		}
		if (p[1] == '\0' || (e = strchr(plain, p[1])) == NULL)
			return NULL;
		*to++ = meant[e - plain];
		p += 2;
	}
	p++;
	*to = '\0';
	return p;
}

/* A number, true, false, null: as text. */
static char *
json_bare(char *p, char **word, char *after)
{
	size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789.+-E");

	if (n == 0)
		return NULL;
	*word = p;
	*after = p[n];
	p[n] = '\0';
	if (strcmp(p, "null") == 0)
		*word = NULL;
	return p + n;
}

bool
flat_json(char *line, struct flat *f)
{
	char *p = skip(line), after;

	f->n = 0;
	if (*p++ != '{')
		return false;
	p = skip(p);
	if (*p == '}')
		return *skip(p + 1) == '\0';
	for (;;) {
		if (f->n == FLAT_MAX ||
		    (p = json_word(p, &f->name[f->n])) == NULL)
			return false;
		p = skip(p);
		if (*p++ != ':')
			return false;
		p = skip(p);
		if (*p == '"') {
			p = json_word(p, &f->value[f->n]);
			if (p == NULL)
				return false;
			p = skip(p);
			after = *p;
		} else {
			p = json_bare(p, &f->value[f->n], &after);
			if (p == NULL)
				return false;
			if (after == ' ' || after == '\t') {
				p = skip(p + 1);
				after = *p;
			}
		}
		f->n++;
		if (after == '}')
			return *skip(p + 1) == '\0';
		if (after != ',')
			return false;
		p = skip(p + 1);
	}
}

/* Split a line of RFC 4180 in place. Returns how many, or -1. */
static int
csv_split(char *line, char **cell)
{
	char *p = line;
	int n = 0;

	line[strcspn(line, "\r\n")] = '\0';
	for (;;) {
		char *to = p;

		if (n == FLAT_MAX)
			return -1;
		cell[n++] = p;
		if (*p == '"') {
			p++;
			while (*p != '\0' && (*p != '"' || p[1] == '"')) {
				p += *p == '"';
				*to++ = *p++;
			}
			if (*p++ != '"' || (*p != ',' && *p != '\0'))
				return -1;
		} else {
			p += strcspn(p, ",");
			to = p;
		}
		char after = *p;

		*to = '\0';
		if (after == '\0')
			return n;
		p++;
	}
}

bool
flat_csv_heads(const char *line, struct flat *heads)
{
	char *copy = strdup(line);

	*heads = (struct flat){ 0 };
	if (copy == NULL)
		return false;
	heads->n = csv_split(copy, heads->name);
	if (heads->n < 1) {
		free(copy);
		*heads = (struct flat){ 0 };
		return false;
	}
	return true;
}

bool
flat_csv(char *line, const struct flat *heads, struct flat *f)
{
	f->n = csv_split(line, f->value);
	if (f->n != heads->n)
		return false;
	memcpy(f->name, heads->name, sizeof(f->name));
	return true;
}

void
flat_release(struct flat *heads)
{
	/* the first name begins the copy of the line */
	free(heads->name[0]);
	*heads = (struct flat){ 0 };
}
