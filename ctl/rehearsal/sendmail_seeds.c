/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/sendmail_seeds.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mta/conf_file.h"

enum { WORD_LEN = 256 };

bool
sendmail_seeds_is_network(const char *word)
{
	return *word == '[' || strncasecmp(word, "IPv6:", 5) == 0 ||
	    strspn(word, "0123456789./") == strlen(word);
}

/* --- samples --- */

bool
sendmail_seeds_sample_rule(const char *lhs, char *buf, size_t size)
{
	size_t n = 0;

	for (const char *c = lhs; *c != '\0' && *c != '\t' && n + 2 < size;
	     c++) {
		if (*c != '$') {
			if (strchr(" <>", *c) == NULL)
				buf[n++] = *c;
		} else if (strchr("*+-", c[1]) != NULL && c[1] != '\0') {
			/* before the first word only: the rest may be empty */
			if (n == 0 || (c[1] != '*' && buf[n - 1] != 'x'))
				buf[n++] = 'x';
			c++;
		} else if (c[1] == '|') {
			n = 0; /* what is asked about stands behind */
			c++;
		} else {
			return false;
		}
	}
	while (n > 0 && buf[n - 1] == '.')
		n--;
	buf[n] = '\0';
	return n > 2 && strpbrk(buf, "%!:;,\"()") == NULL;
}

/* Take the first character that a bracket expression matches. Returns where the
 * expression ends. */
static const char *
bracket(const char *c, char *one)
{
	bool negated = c[1] == '^';
	const char *first = c + 1 + negated;

	*one = negated || *first == '[' ? 'x' : *first;
	c = first + (*first == ']');
	while (*c != '\0' && *c != ']')
		c += c[0] == '[' && c[1] == ':' && strstr(c, ":]") != NULL
		    ? strstr(c, ":]") + 2 - c
		    : 1;
	return c;
}

bool
sendmail_seeds_sample_regex(const char *regex, char *buf, size_t size)
{
	size_t n = 0;
	bool skip = false; /* behind a |, up to its ) */

	for (const char *c = regex; *c != '\0' && n + 2 < size; c++) {
		char one = *c;

		if (skip && *c != ')')
			continue;
		skip = false;
		if (strchr("^$()<>", *c) != NULL) {
			c += c[1] == '?' || c[1] == '*' || c[1] == '+';
			continue;
		}
		if (*c == '|') {
			skip = true;
			continue;
		}
		if (*c == '\\' && c[1] != '\0')
			one = *++c;
		else if (*c == '.')
			one = 'x';
		else if (*c == '[')
			c = bracket(c, &one);
		if (*c == '\0')
			break;
		if (c[1] == '?') {
			c++;
			continue;
		}
		buf[n++] = one;
		if (c[1] == '*' || c[1] == '+')
			c++;
		else if (c[1] == '{')
			c += strcspn(c, "}") - (strchr(c, '}') == NULL);
	}
	buf[n] = '\0';
	return n > 0;
}

/* --- what is in the files --- */

static void
add(struct sendmail_seeds *s, const struct sendmail_seed *seed)
{
	struct sendmail_seed *v;

	for (size_t i = s->n; i > 0 && s->n - i < 300; i--)
		if (strcmp(s->v[i - 1].word, seed->word) == 0 &&
		    s->v[i - 1].from == seed->from)
			return;
	if (s->n == SENDMAIL_SEEDS_MAX) {
		s->cut = true;
		return;
	}
	v = reallocarray(s->v, s->n + 1, sizeof(*v));
	if (v == NULL)
		return;
	s->v = v;
	v += s->n;
	*v = *seed;
	v->word = strdup(seed->word);
	v->file = strdup(seed->file);
	v->type = seed->type == NULL ? NULL : strdup(seed->type);
	if (v->word == NULL || v->file == NULL ||
	    (seed->type != NULL && v->type == NULL)) {
		free(v->word);
		free(v->file);
		free(v->type);
		return;
	}
	s->n++;
}

/* A word as it stands in a file, with what is around it taken off. */
static void
take_word(struct sendmail_seeds *s, struct sendmail_seed *seed, const char *w)
{
	static const char *const tags[] = { "Connect:", "To:", "From:",
		"GreetPause:", "ClientRate:", "ClientConn:", "Spam:" };
	char word[WORD_LEN];

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		if (strncasecmp(w, tags[i], strlen(tags[i])) == 0)
			w += strlen(tags[i]);
	w += *w == '.' || *w == '@';
	(void)snprintf(word, sizeof(word), "%s", w);
	if (*word == '\0' || *word == '$' || strchr("{}%|", *word) != NULL)
		return;
	seed->word = word;
	add(s, seed);
}

/* The first word of each line. */
static void
take_file(struct sendmail_seeds *s, struct sendmail_seed *seed)
{
	char *text = conf_file_read(seed->file), *rest = text;

	seed->line = 0;
	for (char *l = strsep(&rest, "\n"); l != NULL;
	     l = strsep(&rest, "\n")) {
		seed->line++;
		l += strspn(l, " \t");
		l[strcspn(l, "#\r \t")] = '\0';
		take_word(s, seed, l);
	}
	free(text);
}

static void
take_class(struct sendmail_seeds *s, const struct sendmail_line *l,
    struct sendmail_seed *seed)
{
	char name[SENDMAIL_NAME_MAX], *copy = strdup(l->text), *save = NULL;
	bool optional;

	if (copy == NULL)
		return;
	char *rest = sendmail_name(copy, name);

	if (l->kind == 'F') {
		seed->from = SEED_FILE;
		seed->file = sendmail_class_file(rest, &optional);
		if (*seed->file == '/')
			take_file(s, seed);
	} else {
		seed->from = SEED_WORD;
		for (char *w = strtok_r(rest, " \t", &save); w != NULL;
		     w = strtok_r(NULL, " \t", &save))
			take_word(s, seed, w);
	}
	free(copy);
}

/* "access hash -T<TMPF> /etc/mail/access", "friends regex -a@MATCH ^x$" */
static void
take_map(struct sendmail_seeds *s, const struct sendmail_line *l,
    struct sendmail_seed seed)
{
	char *copy = strdup(l->text), *save = NULL, *last = NULL;
	char sample[WORD_LEN];

	if (copy == NULL || strtok_r(copy, " \t", &save) == NULL) {
		free(copy);
		return;
	}
	seed.type = strtok_r(NULL, " \t", &save);
	for (char *w = strtok_r(NULL, " \t", &save); w != NULL;
	     w = strtok_r(NULL, " \t", &save))
		last = w;
	if (seed.type != NULL && last != NULL && *last == '/') {
		seed.from = SEED_MAP;
		seed.file = last;
		take_file(s, &seed);
	} else if (seed.type != NULL && last != NULL &&
	    strcmp(seed.type, "regex") == 0 &&
	    sendmail_seeds_sample_regex(last, sample, sizeof(sample))) {
		seed.from = SEED_RULE;
		seed.word = sample;
		add(s, &seed);
	}
	free(copy);
}

static void
take_rule(struct sendmail_seeds *s, const struct sendmail_line *l,
    struct sendmail_seed *seed)
{
	const char *end = l->text + strcspn(l->text, "\t");
	char sample[WORD_LEN], part[WORD_LEN];

	/* each of "what HELO says $| who sends" is a word of its own */
	for (const char *at = l->text; at < end;) {
		const char *bar = strstr(at, "$|");

		if (bar == NULL || bar > end)
			bar = end;
		(void)snprintf(part, sizeof(part), "%.*s", (int)(bar - at), at);
		at = bar + (bar < end ? 2 : 0);
		if (!sendmail_seeds_sample_rule(part, sample, sizeof(sample)))
			continue;
		seed->from = SEED_RULE;
		take_word(s, seed, sample);
		if (strncmp(sample, "x@", 2) == 0)
			take_word(s, seed, sample + 2);
	}
}

void
sendmail_seeds_take(
    struct sendmail_seeds *s, const struct sendmail_cf *cf, const char *path)
{
	for (size_t i = 0; i < cf->n; i++) {
		const struct sendmail_line *l = &cf->v[i];
		struct sendmail_seed seed = { .file = strdup(path),
			.line = l->line };
		char *file = seed.file;

		if (file == NULL)
			return;
		if (l->kind == 'C' || l->kind == 'F')
			take_class(s, l, &seed);
		else if (l->kind == 'K')
			take_map(s, l, seed);
		else if (l->kind == 'R')
			take_rule(s, l, &seed);
		free(file);
	}
}

void
sendmail_seeds_release(struct sendmail_seeds *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].word);
		free(s->v[i].file);
		free(s->v[i].type);
	}
	free(s->v);
	*s = (struct sendmail_seeds){ .n = 0 };
}
