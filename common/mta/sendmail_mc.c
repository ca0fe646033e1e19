/* SPDX-License-Identifier: ISC */
#include "common/mta/sendmail_mc.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static const char *
word_end(const char *at)
{
	while (is_word(*at))
		at++;
	return at;
}

/* Behind the quoted text that begins at at, or at the end of the text. */
static const char *
skip_quoted(const char *at)
{
	unsigned depth = 0;

	do {
		if (*at == '`')
			depth++;
		else if (*at == '\'')
			depth--;
		else if (*at == '\0')
			return at;
		at++;
	} while (depth > 0);
	return at;
}

static bool
is_dnl(const char *word, size_t len)
{
	return len == 3 && strncmp(word, "dnl", 3) == 0;
}

/* Behind what stands at at: a quoted text, a comment, a word, a character. */
static const char *
skip_one(const char *at)
{
	const char *end;

	if (*at == '`')
		return skip_quoted(at);
	if (!is_word(*at))
		return at + 1;
	end = word_end(at);
	if (is_dnl(at, (size_t)(end - at))) {
		end += strcspn(end, "\n");
		end += *end == '\n';
	}
	return end;
}

/* The "," or ")" that ends the argument at at, or the end of the text. */
static const char *
arg_end(const char *at)
{
	unsigned depth = 0;

	while (*at != '\0' && (depth > 0 || (*at != ',' && *at != ')'))) {
		if (*at == '(')
			depth++;
		else if (*at == ')')
			depth--;
		at = skip_one(at);
	}
	return at;
}

static unsigned
count_lines(const char *from, const char *to)
{
	unsigned n = 0;

	for (; from < to; from++)
		n += *from == '\n';
	return n;
}

bool
sendmail_mc_next(const char **at, unsigned *line, struct sendmail_call *call)
{
	assert(*at != NULL && *line > 0);
	while (**at != '\0') {
		const char *start = *at, *end = word_end(start);

		if (end == start || *end != '(' ||
		    is_dnl(start, (size_t)(end - start))) {
			*at = skip_one(start);
			*line += count_lines(start, *at);
			continue;
		}
		*call = (struct sendmail_call){
			.name = start,
			.name_len = (size_t)(end - start),
			.args = end + 1,
			.line = *line,
		};
		for (end = arg_end(end + 1); *end == ','; end = arg_end(end))
			end++;
		call->end = end + (*end == ')');
		call->last_line = *line + count_lines(start, call->end);
		*at = call->end;
		*line = call->last_line;
		return true;
	}
	return false;
}

bool
sendmail_mc_is(const struct sendmail_call *call, const char *name)
{
	return strlen(name) == call->name_len &&
	    strncmp(call->name, name, call->name_len) == 0;
}

bool
sendmail_mc_arg(
    const struct sendmail_call *call, unsigned n, char *buf, size_t size)
{
	const char *at = call->args, *end = arg_end(at);
	size_t len = 0;

	assert(size > 0);
	for (; n > 0 && *end == ','; n--) {
		at = end + 1;
		end = arg_end(at);
	}
	if (n > 0)
		return false;
	while (at < end && isspace((unsigned char)*at))
		at++;
	for (; at < end && len + 1 < size; at++)
		if (*at != '`' && *at != '\'')
			buf[len++] = *at;
	buf[len] = '\0';
	return true;
}
