/* SPDX-License-Identifier: ISC */
/* exim_sample - a text that a regular expression matches. */
#include <ctype.h>
#include <string.h>

#include "ctl/rehearsal/exim_seeds.h"

enum { NESTED_MAX = 16 };

struct sample {
	const char *at;
	char *buf;
	size_t n, size;
	unsigned branch, depth;
	bool ok;
};

static void sequence(struct sample *s, bool keep);

static void
put(struct sample *s, char c)
{
	if (s->n + 1 >= s->size)
		s->ok = false;
	else
		s->buf[s->n++] = c;
}

/* The character that stands for "\d", "\w", ...; else the one behind "\". */
static char
escaped(char c)
{
	switch (c) {
	case 'd':
		return '1';
	case 'w':
	case 'D':
	case 'S':
		return 'x';
	case 's':
		return ' ';
	case 'W':
		return '-';
	default:
		return c;
	}
}

static bool
is_assertion(char c)
{
	return c != '\0' && strchr("bBAZzNGK", c) != NULL;
}

/* Does a class hold c? Only for ASCII and plain ranges. */
static bool
holds(const char *class, size_t n, char c)
{
	for (size_t i = 0; i < n; i++) {
		if (class[i] == '\\' && i + 1 < n) {
			i++;
			if (class[i] == c || escaped(class[i]) == c)
				return true;
		} else if (i + 2 < n && class[i + 1] == '-') {
			if (c >= class[i] && c <= class[i + 2])
				return true;
			i += 2;
		} else if (class[i] == c) {
			return true;
		}
	}
	return false;
}

/* Behind "[": the first letter that it holds, or doesn't. */
static char
class_member(struct sample *s)
{
	static const char letters[] =
	    "xabcdefghijklmnopqrstuvwyz10123456789-._XABCDEFGHIJKLMNOPQRSTUVWYZ+@%!/:";
	bool not = *s->at == '^';
	const char *from = s->at + not, *end = from;

	if (*end == ']')
		end++;
	while (*end != '\0' && *end != ']') {
		if (*end == '\\' && end[1] != '\0')
			end++;
		/* "[:alnum:]" */
		if (end[0] == '[' && end[1] == ':') {
			const char *close = strstr(end, ":]");

			if (close != NULL) {
				s->at = strchr(close + 2, ']');
				s->at = s->at == NULL ? "" : s->at + 1;
				return strncmp(end, "[:digit", 7) == 0 ? '1'
								       : 'x';
			}
		}
		end++;
	}
	s->at = *end == '\0' ? end : end + 1;
	for (const char *c = letters; *c != '\0'; c++)
		if (holds(from, (size_t)(end - from), *c) != not)
			return *c;
	s->ok = false;
	return 'x';
}

/* "(?:", "(?i)", "(?!...)" and such. Returns false for what asserts. */
static bool
group_head(struct sample *s)
{
	if (*s->at != '?')
		return true;
	s->at++;
	if (*s->at == '!' || *s->at == '=' || *s->at == '<')
		return false;
	while (*s->at != '\0' && *s->at != ':' && *s->at != ')')
		s->at++;
	if (*s->at == ':')
		s->at++;
	return true;
}

/* The last alternative of what begins here, counted from 0. */
static unsigned
last_alternative(const char *at)
{
	unsigned n = 0, depth = 0;

	for (; *at != '\0' && (*at != ')' || depth > 0); at++) {
		if (*at == '\\' && at[1] != '\0')
			at++;
		else if (*at == '[')
			at += strcspn(at, "]") - (strchr(at, ']') == NULL);
		else if (*at == '(')
			depth++;
		else if (*at == ')')
			depth--;
		else if (*at == '|' && depth == 0)
			n++;
	}
	return n;
}

/* All alternatives, of which one is taken; none where it only asserts. */
static void
alternatives(struct sample *s, bool keep)
{
	unsigned last = last_alternative(s->at);
	unsigned want = s->branch < last ? s->branch : last;

	for (unsigned i = 0;; i++) {
		sequence(s, keep && i == want);
		if (*s->at != '|')
			return;
		s->at++;
	}
}

/* Behind "(". */
static void
group(struct sample *s)
{
	bool asserts = !group_head(s);

	if (++s->depth > NESTED_MAX)
		s->ok = false;
	else
		alternatives(s, !asserts);
	if (*s->at == ')')
		s->at++;
	s->depth--;
}

/* How often the item before is wanted: "*" and "?" allow none, but one is the
 * better sample. "{3}" */
static unsigned
times(struct sample *s)
{
	unsigned n = 1;

	if (*s->at == '{' && isdigit((unsigned char)s->at[1])) {
		n = 0;
		for (s->at++; isdigit((unsigned char)*s->at); s->at++)
			n = n * 10 + (unsigned)(*s->at - '0');
		s->at += strcspn(s->at, "}");
		s->at += *s->at == '}';
	} else if (*s->at != '\0' && strchr("*+?", *s->at) != NULL) {
		s->at++;
	}
	if (*s->at == '?' || *s->at == '+')
		s->at++;
	return n > 64 ? 64 : n;
}

/* Up to "|", ")" or the end; keep: it is part of the sample. */
static void
sequence(struct sample *s, bool keep)
{
	size_t start = s->n;

	while (s->ok && *s->at != '\0' && *s->at != '|' && *s->at != ')') {
		size_t before = s->n;
		char c = *s->at++;

		if (c == '^' || c == '$')
			continue;
		if (c == '\\' && is_assertion(*s->at)) {
			s->at++;
			continue;
		}
		if (c == '(')
			group(s);
		else if (c == '[')
			put(s, class_member(s));
		else if (c == '.')
			put(s, 'x');
		else if (c == '\\' && *s->at != '\0')
			put(s, escaped(*s->at++));
		else
			put(s, c);
		size_t len = s->n - before;

		for (unsigned n = times(s); n > 1 && s->ok; n--)
			for (size_t i = 0; i < len; i++)
				put(s, s->buf[before + i]);
	}
	if (!keep)
		s->n = start;
}

bool
exim_sample(const char *regex, unsigned branch, char *buf, size_t size)
{
	struct sample s = { .at = regex,
		.buf = buf,
		.size = size,
		.branch = branch,
		.ok = true };

	alternatives(&s, true);
	s.buf[s.n] = '\0';
	return s.ok && s.n > 0;
}
