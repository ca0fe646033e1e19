/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/gateway.h"

#include <ctype.h>
#include <string.h>

struct made {
	char *buf;
	size_t n, size;
	const char *words[2];
	unsigned wild; /* wildcards so far */
	bool between; /* a text stands between the first two */
	bool any_domain; /* a wildcard stands behind the "@" */
	bool failed;
};

static void
put(struct made *m, char c)
{
	if (m->n + 1 < m->size)
		m->buf[m->n++] = c;
	else
		m->failed = true;
	m->between |= m->wild == 1;
}

static void
put_wild(struct made *m)
{
	const char *word = m->wild < 2 ? m->words[m->wild] : "x";
	const char *at = memchr(m->buf, '@', m->n);
	bool between = m->between;

	if (at != NULL) {
		m->n = (size_t)(at - m->buf);
		m->any_domain = true;
		return;
	}
	while (*word != '\0')
		put(m, *word++);
	m->between = between;
	m->wild++;
}

static struct made
begin(char *buf, size_t size, bool swapped, const char *domain)
{
	struct made m = { .buf = buf, .size = size };

	m.words[swapped] = "user";
	m.words[!swapped] = domain;
	return m;
}

static bool
end(struct made *m)
{
	if (m->n > 0 && m->buf[m->n - 1] == '@')
		m->n--;
	m->buf[m->n] = '\0';
	return !m->failed && m->wild >= 2 && m->between;
}

/* Where the "*" or "+" of a wildcard at c ends; NULL: there is none. */
static const char *
wildcard(const char *c)
{
	if (*c == '[') {
		const char *close = strchr(c + 1 + (c[1] == '^'), ']');

		if (close == NULL)
			return NULL;
		c = close + 1;
	} else if (*c == '.') {
		c++;
	} else if (*c == '\\' && c[1] != '\0' && strchr("wS", c[1]) != NULL) {
		c += 2;
	} else {
		return NULL;
	}
	if (*c != '*' && *c != '+')
		return NULL;
	c++;
	return c + (*c == '?' || *c == '+');
}

bool
gateway_regex(
    const char *regex, bool swapped, const char *domain, char *buf, size_t size)
{
	struct made m = begin(buf, size, swapped, domain);

	for (const char *c = regex;
	     *c != '\0' && !m.failed && !m.any_domain;) {
		const char *behind = wildcard(c);

		if (behind != NULL) {
			put_wild(&m);
			c = behind;
			continue;
		}
		if (strncmp(c, "(?:", 3) == 0)
			c += 2;
		else if (*c == '\\' && c[1] != '\0' &&
		    !isalnum((unsigned char)c[1]))
			put(&m, *++c);
		else if (*c == '.')
			put(&m, 'x');
		else if (strchr("[|?*+{\\", *c) != NULL)
			m.failed = true;
		else if (strchr("^$()", *c) == NULL)
			put(&m, *c);
		c++;
	}
	return end(&m);
}

bool
gateway_rule(const char *lhs, bool swapped, const char *domain,
    const char *ours, char *buf, size_t size)
{
	struct made m = begin(buf, size, swapped, domain);

	for (const char *c = lhs; *c != '\0' && *c != '\t' && !m.failed; c++) {
		if (strchr(" <>", *c) != NULL)
			continue;
		if (*c != '$') {
			put(&m, *c);
		} else if (c[1] != '\0' && strchr("+*-", c[1]) != NULL) {
			/* one behind the domain may be empty */
			if (memchr(buf, '@', m.n) == NULL)
				put_wild(&m);
			c++;
		} else if (c[1] == '=' && c[2] != '\0') {
			for (const char *o = ours; *o != '\0'; o++)
				put(&m, *o);
			c += c[2] == '{' ? strcspn(c, "}") : 2;
			if (*c == '\0')
				break;
		} else {
			m.failed = true;
		}
	}
	while (m.n > 0 && buf[m.n - 1] == '.')
		m.n--;
	if (memchr(buf, '@', m.n) == NULL) {
		put(&m, '@');
		for (const char *o = ours; *o != '\0'; o++)
			put(&m, *o);
	}
	return end(&m);
}
