/* SPDX-License-Identifier: ISC */
#include "common/base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"

static void
json_string(struct json *j, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t cp = 0;

	(void)fputc('"', j->to);
	while (*p != '\0') {
		size_t n = utf8_length(p, &cp);

		if (n == 0) {
			/* no UTF-8: JSON has no place for such a byte */
			(void)fputs("\\ufffd", j->to);
			p++;
			continue;
		}
		if (cp == '"' || cp == '\\')
			(void)fprintf(j->to, "\\%c", (int)cp);
		else if (utf8_harmful(cp) && cp <= 0xffff)
			(void)fprintf(j->to, "\\u%04x", (unsigned)cp);
		else if (utf8_harmful(cp)) /* RFC 8259 section 7 */
			(void)fprintf(j->to, "\\u%04x\\u%04x",
			    (unsigned)(0xd7c0 + (cp >> 10)),
			    (unsigned)(0xdc00 + (cp & 0x3ff)));
		else
			(void)fwrite(p, 1, n, j->to);
		p += n;
	}
	(void)fputc('"', j->to);
}

static void
json_key(struct json *j, const char *key)
{
	if (j->comma)
		(void)fputc(',', j->to);
	j->comma = true;
	if (key == NULL)
		return;
	json_string(j, key);
	(void)fputc(':', j->to);
}

void
json_open(struct json *j, const char *key, char bracket)
{
	assert(bracket == '{' || bracket == '[');
	json_key(j, key);
	(void)fputc(bracket, j->to);
	j->comma = false;
}

void
json_close(struct json *j, char bracket)
{
	assert(bracket == '}' || bracket == ']');
	(void)fputc(bracket, j->to);
	j->comma = true;
}

void
json_text(struct json *j, const char *key, const char *text)
{
	json_key(j, key);
	if (text == NULL)
		(void)fputs("null", j->to);
	else
		json_string(j, text);
}

void
json_number(struct json *j, const char *key, int64_t n)
{
	json_key(j, key);
	(void)fprintf(j->to, "%" PRId64, n);
}

void
json_raw(struct json *j, const char *key, const char *text)
{
	assert(*text != '\0');
	json_key(j, key);
	(void)fputs(text, j->to);
}

void
json_bool(struct json *j, const char *key, bool value)
{
	json_raw(j, key, value ? "true" : "false");
}

void
json_line(struct json *j)
{
	(void)fputc('\n', j->to);
	j->comma = false;
}

/* --- reading --- */

static const char *
skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Behind the string that begins at p, or NULL. */
static const char *
skip_string(const char *p)
{
	if (*p++ != '"')
		return NULL;
	for (; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if (*p == '\0')
			return NULL;
	}
	return p + 1;
}

/* Behind the value that begins at p, or NULL. */
static const char *
skip_value(const char *p)
{
	int depth = 0;

	do {
		p = skip_space(p);
		if (*p == '"') {
			p = skip_string(p);
			if (p == NULL)
				return NULL;
		} else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (*p == '}' || *p == ']') {
			depth--;
			p++;
		} else if (depth > 0 && (*p == ',' || *p == ':')) {
			p++;
		} else {
			size_t n = strcspn(p, ",:]}\"[{ \t\r\n");

			if (n == 0)
				return NULL;
			p += n;
		}
	} while (depth > 0);
	return depth < 0 ? NULL : p;
}

/* The value of a member, or NULL. */
static const char *
find(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *p = skip_space(text);

	if (*p != '{')
		return NULL;
	do {
		const char *name = skip_space(p + 1);

		p = skip_string(name);
		if (p == NULL)
			return NULL;
		bool hit = (size_t)(p - name) == len + 2 &&
		    memcmp(name + 1, key, len) == 0;

		p = skip_space(p);
		if (*p != ':')
			return NULL;
		p = skip_space(p + 1);
		if (hit)
			return p;
		p = skip_value(p);
		if (p == NULL)
			return NULL;
		p = skip_space(p);
	} while (*p == ',');
	return NULL;
}

/* The character that an escape means; moves *p, which is at the backslash, to
 * the escape's last character. */
static char
unescape(const char **p)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = strchr(from, **p);
	char hex[5] = "";

	if (**p != 'u')
		return at == NULL || *at == '\0' ? '?' : to[at - from];
	for (int i = 0; i < 4; i++) {
		char c = (*p)[1];

		if (c == '\0' || strchr("0123456789abcdefABCDEF", c) == NULL)
			return '?';
		hex[i] = c;
		(*p)++;
	}
	unsigned long cp = strtoul(hex, NULL, 16);

	return cp > 0 && cp < 0x80 ? (char)cp : '?';
}

bool
json_find_text(const char *text, const char *key, char *buf, size_t size)
{
	const char *p = find(text, key);
	size_t at = 0;

	assert(size > 0);
	if (p == NULL || skip_string(p) == NULL)
		return false;
	for (p++; *p != '"' && at + 1 < size; p++) {
		if (*p == '\\') {
			p++;
			buf[at++] = unescape(&p);
		} else {
			buf[at++] = *p;
		}
	}
	buf[at] = '\0';
	return true;
}

bool
json_find_number(const char *text, const char *key, int64_t *n_r)
{
	const char *p = find(text, key);
	char *end;

	if (p == NULL || (*p != '-' && (*p < '0' || *p > '9')))
		return false;
	int64_t n = strtoll(p, &end, 10);

	if (end == p || *end == '\0' || strchr(",}] \t\r\n", *end) == NULL)
		return false;
	*n_r = n;
	return true;
}

bool
json_find_bool(const char *text, const char *key, bool *value_r)
{
	const char *p = find(text, key);

	if (p == NULL)
		return false;
	*value_r = strncmp(p, "true", 4) == 0;
	return *value_r || strncmp(p, "false", 5) == 0;
}

int64_t
json_number_or_none(const char *text, const char *key)
{
	int64_t n;

	return json_find_number(text, key, &n) ? n : -1;
}

bool
json_is_false(const char *text, const char *key)
{
	bool value;

	return json_find_bool(text, key, &value) && !value;
}
