/* SPDX-License-Identifier: ISC */
/* span - a stretch of somebody else's bytes, and the scanners that walk it.
 * Nothing here allocates, copies or looks behind the end; every scanner is
 * linear in what it consumes. A scanner that fails leaves its span as it was,
 * so callers can try one literal after another. Pure; any thread. */
#ifndef POPGATE_SPAN_H
#define POPGATE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *p; /* first byte; borrowed */
	const char *end; /* one past the last */
};

/* The longest number that any log line of ours holds is a session size. The
 * bound matters: without one, "000...0" could pad a line up to the length at
 * which syslogd cuts off what the server wrote behind it. */
enum { SPAN_DIGITS_MAX = 20 };

static inline struct span
span_of(const char *p, size_t len)
{
	return (struct span){ .p = p, .end = p + len };
}

static inline size_t
span_len(struct span s)
{
	return (size_t)(s.end - s.p);
}

static inline bool
span_empty(struct span s)
{
	return s.p == s.end;
}

static inline bool
span_starts(struct span s, const char *text, size_t len)
{
	return span_len(s) >= len && memcmp(s.p, text, len) == 0;
}

static inline bool
span_equals(struct span s, const char *text, size_t len)
{
	return span_len(s) == len && memcmp(s.p, text, len) == 0;
}

/* Step over text. */
static inline bool
span_take(struct span *s, const char *text, size_t len)
{
	if (!span_starts(*s, text, len))
		return false;
	s->p += len;
	return true;
}

/* Cut text off the end. */
static inline bool
span_chop(struct span *s, const char *text, size_t len)
{
	if (span_len(*s) < len || memcmp(s->end - len, text, len) != 0)
		return false;
	s->end -= len;
	return true;
}

/* First occurrence of text (not empty), or NULL. */
static inline const char *
span_find(struct span s, const char *text, size_t len)
{
	while (span_len(s) >= len) {
		const char *hit = memchr(s.p, text[0], span_len(s) - len + 1);

		if (hit == NULL)
			return NULL;
		if (memcmp(hit, text, len) == 0)
			return hit;
		s.p = hit + 1;
	}
	return NULL;
}

/* Occurrences of text, counted up to most: a parser asks "exactly one?". */
static inline unsigned
span_count(struct span s, const char *text, size_t len, unsigned most)
{
	unsigned n = 0;
	const char *hit;

	while (n < most && (hit = span_find(s, text, len)) != NULL) {
		n++;
		s.p = hit + 1;
	}
	return n;
}

/* Put the bytes before the first text into *before; s steps behind the text. */
static inline bool
span_until(struct span *s, const char *text, size_t len, struct span *before)
{
	const char *hit = span_find(*s, text, len);

	if (hit == NULL)
		return false;
	*before = (struct span){ .p = s->p, .end = hit };
	s->p = hit + len;
	return true;
}

/* span_until() for the last text. */
static inline bool
span_until_last(
    struct span *s, const char *text, size_t len, struct span *before)
{
	const char *last = NULL;
	const char *hit;
	struct span rest = *s;

	while ((hit = span_find(rest, text, len)) != NULL) {
		last = hit;
		rest.p = hit + 1;
	}
	if (last == NULL)
		return false;
	*before = (struct span){ .p = s->p, .end = last };
	s->p = last + len;
	return true;
}

static inline bool
span_has_char(struct span s, char c)
{
	return !span_empty(s) && memchr(s.p, c, span_len(s)) != NULL;
}

static inline bool
span_starts_any(struct span s, const char *const v[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_starts(s, v[i], strlen(v[i])))
			return true;
	return false;
}

/* Literals carry their length, so that no scanner calls strlen. */
#define SPAN_TAKE(s, lit) span_take((s), "" lit, sizeof(lit) - 1)
#define SPAN_CHOP(s, lit) span_chop((s), "" lit, sizeof(lit) - 1)
#define SPAN_STARTS(s, lit) span_starts((s), "" lit, sizeof(lit) - 1)
/* v: an array of texts */
#define SPAN_STARTS_ANY(s, v) \
	span_starts_any((s), (v), sizeof(v) / sizeof((v)[0]))
#define SPAN_EQUALS(s, lit) span_equals((s), "" lit, sizeof(lit) - 1)
#define SPAN_HAS(s, lit) (span_find((s), "" lit, sizeof(lit) - 1) != NULL)
#define SPAN_COUNT(s, lit) span_count((s), "" lit, sizeof(lit) - 1, 2)
#define SPAN_UNTIL(s, lit, before) \
	span_until((s), "" lit, sizeof(lit) - 1, (before))
#define SPAN_UNTIL_LAST(s, lit, before) \
	span_until_last((s), "" lit, sizeof(lit) - 1, (before))

static inline bool
char_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Letters, digits, '-' and '_': SASL mechanisms, protocol words. */
static inline bool
char_word(char c)
{
	return char_digit(c) || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

/* A character of a host name as resolvers hand them out: '.' and the '_' of the
 * wild included, brackets, spaces and quotes not. */
static inline bool
char_host(char c)
{
	return char_word(c) || c == '.';
}

/* One to SPAN_DIGITS_MAX decimal digits; value_r may be NULL, and is
 * saturated. */
static inline bool
span_number(struct span *s, uint64_t *value_r)
{
	uint64_t v = 0;
	const char *p = s->p;

	while (p < s->end && char_digit(*p)) {
		unsigned d = (unsigned)(*p - '0');

		v = v > (UINT64_MAX - d) / 10 ? UINT64_MAX : v * 10 + d;
		p++;
	}
	if (p == s->p || p - s->p > SPAN_DIGITS_MAX)
		return false;
	s->p = p;
	if (value_r != NULL)
		*value_r = v;
	return true;
}

static inline bool
span_run(struct span *s, bool (*belongs)(char), struct span *run_r)
{
	const char *p = s->p;

	while (p < s->end && belongs(*p))
		p++;
	if (p == s->p)
		return false;
	*run_r = (struct span){ .p = s->p, .end = p };
	s->p = p;
	return true;
}

/* "[...]" without a bracket inside. */
static inline bool
span_bracketed(struct span *s, struct span *inside_r)
{
	struct span rest = *s;

	if (!SPAN_TAKE(&rest, "[") || !SPAN_UNTIL(&rest, "]", inside_r) ||
	    span_has_char(*inside_r, '['))
		return false;
	s->p = rest.p;
	return true;
}

/* "addr:port" or "[addr]:port". An IPv6 address without brackets is taken up
 * to the last colon: every server here that prints one so prints a port. */
static inline bool
span_split_port(struct span s, struct span *addr_r)
{
	struct span port;
	const char *colon = NULL;

	for (const char *p = s.end; p > s.p; p--) {
		if (p[-1] == ':') {
			colon = p - 1;
			break;
		}
	}
	if (colon == NULL)
		return false;
	port = (struct span){ .p = colon + 1, .end = s.end };
	if (!span_number(&port, NULL) || !span_empty(port))
		return false;
	s.end = colon;
	if (SPAN_STARTS(s, "[")) {
		if (!SPAN_CHOP(&s, "]"))
			return false;
		s.p++;
	}
	*addr_r = s;
	return true;
}

/* Without the blanks that pasting and some loggers leave at the end. */
static inline struct span
span_trimmed(struct span s)
{
	while (s.p < s.end && (s.end[-1] == ' ' || s.end[-1] == '\t'))
		s.end--;
	return s;
}

#endif
