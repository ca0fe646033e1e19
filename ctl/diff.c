/* SPDX-License-Identifier: ISC */
#include "ctl/diff.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"

enum {
	CONTEXT = 3, /* lines around a change */
	CELLS_MAX = 16 << 20 /* more: the middle is shown as replaced */
};

struct lines {
	const char **v;
	size_t n;
};

static bool
split(const char *text, struct lines *l)
{
	size_t n = 1;

	for (const char *p = text; *p != '\0'; p++)
		n += *p == '\n';
	*l = (struct lines){ calloc(n, sizeof(*l->v)), 0 };
	if (l->v == NULL)
		return false;
	while (*text != '\0') {
		l->v[l->n++] = text;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return true;
}

static bool
same(const char *a, const char *b)
{
	size_t n = strcspn(a, "\n");

	return n == strcspn(b, "\n") && memcmp(a, b, n) == 0 && a[n] == b[n];
}

/* A line of the result: ' ', '-' or '+'. */
struct line {
	char sign;
	const char *text;
};

struct script {
	struct line *v;
	size_t n;
};

static void
add(struct script *s, char sign, const char *text)
{
	s->v[s->n++] = (struct line){ sign, text };
}

/* The longest common subsequence of what is between equal head and tail. */
static bool
middle(struct script *s, const struct lines *a, const struct lines *b,
    size_t head, size_t tail)
{
	assert(head + tail <= a->n && head + tail <= b->n);
	size_t n = a->n - head - tail, m = b->n - head - tail, w = m + 1;
	bool whole = (n + 1) * w > CELLS_MAX;
	uint32_t *len = whole ? NULL : calloc((n + 1) * w, sizeof(*len));
	size_t i = 0, k = 0;

	if (!whole && len == NULL)
		return false;
	for (i = n; !whole && i-- > 0;)
		for (k = m; k-- > 0;)
			len[i * w + k] = same(a->v[head + i], b->v[head + k])
			    ? len[(i + 1) * w + k + 1] + 1
			    : len[(i + 1) * w + k] > len[i * w + k + 1]
			    ? len[(i + 1) * w + k]
			    : len[i * w + k + 1];
	for (i = k = 0; i < n || k < m;) {
		const char *x = i < n ? a->v[head + i] : NULL;
		const char *y = k < m ? b->v[head + k] : NULL;

		if (!whole && x != NULL && y != NULL && same(x, y)) {
			add(s, ' ', x);
			i++;
			k++;
		} else if (x != NULL &&
		    (y == NULL || whole ||
			len[(i + 1) * w + k] >= len[i * w + k + 1])) {
			add(s, '-', x);
			i++;
		} else {
			add(s, '+', y);
			k++;
		}
	}
	free(len);
	return true;
}

static bool
compare(struct script *s, const struct lines *a, const struct lines *b)
{
	size_t head = 0, tail = 0, least = a->n < b->n ? a->n : b->n;

	s->v = calloc(a->n + b->n + 1, sizeof(*s->v));
	if (s->v == NULL)
		return false;
	while (head < least && same(a->v[head], b->v[head]))
		add(s, ' ', a->v[head++]);
	while (tail < least - head &&
	    same(a->v[a->n - tail - 1], b->v[b->n - tail - 1]))
		tail++;
	if (!middle(s, a, b, head, tail))
		return false;
	for (size_t i = tail; i > 0; i--)
		add(s, ' ', a->v[a->n - i]);
	assert(s->n <= a->n + b->n);
	return true;
}

static void
print_line(FILE *to, const struct line *l, bool escape)
{
	const char *end = l->text + strcspn(l->text, "\n");
	char one[UTF8_ESCAPE_MAX];

	(void)fputc(l->sign, to);
	for (const char *at = l->text; at < end;) {
		/* a tab does no harm */
		size_t n = !escape || *at == '\t' ? 0 : utf8_escape(&at, one);

		if (n == 0)
			(void)fputc(*at++, to);
		else
			(void)fwrite(one, 1, n, to);
	}
	(void)fputs(
	    *end == '\n' ? "\n" : "\n\\ No newline at end of file\n", to);
}

/* Where the hunk that begins at a change ends: behind its last change, more
 * than twice the context before the next one. */
static size_t
hunk_end(const struct script *s, size_t at)
{
	size_t end = at;

	assert(at < s->n);
	for (size_t i = at; i < s->n && i <= end + 2 * (size_t)CONTEXT + 1; i++)
		if (s->v[i].sign != ' ')
			end = i;
	return end + 1;
}

static void
print_hunk(
    FILE *to, const struct script *s, size_t from, size_t until, bool escape)
{
	size_t count[2] = { 0, 0 }, first[2] = { 1, 1 };

	assert(from < until && until <= s->n);
	for (size_t i = 0; i < until; i++) {
		size_t *n = i < from ? first : count;

		n[0] += s->v[i].sign != '+';
		n[1] += s->v[i].sign != '-';
	}
	(void)fprintf(to, "@@ -%zu,%zu +%zu,%zu @@\n",
	    first[0] - (count[0] == 0), count[0], first[1] - (count[1] == 0),
	    count[1]);
	for (size_t i = from; i < until; i++)
		print_line(to, &s->v[i], escape);
}

static void
print_script(FILE *to, const struct script *s, const char *path, bool is_new,
    bool escape)
{
	bool head = false;

	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].sign == ' ')
			continue;
		if (!head)
			(void)fprintf(to, "--- %s\n+++ %s\n",
			    is_new ? "/dev/null" : path, path);
		head = true;
		size_t until = hunk_end(s, i);
		size_t end = until + CONTEXT < s->n ? until + CONTEXT : s->n;

		print_hunk(to, s, i < CONTEXT ? 0 : i - CONTEXT, end, escape);
		i = end - 1;
	}
}

int
diff_print(FILE *to, const char *path, const char *before, const char *after,
    bool escape)
{
	struct lines a = { 0 }, b = { 0 };
	struct script s = { 0 };
	bool ok = split(before == NULL ? "" : before, &a) && split(after, &b) &&
	    compare(&s, &a, &b);

	if (ok)
		print_script(to, &s, path, before == NULL, escape);
	free(s.v);
	free(a.v);
	free(b.v);
	return ok ? 0 : -1;
}
