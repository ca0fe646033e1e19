/* SPDX-License-Identifier: ISC */
#include "common/mta/postfix_lookup.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/conf_file.h"
#include "common/mta/domains.h"
#include "common/mta/postfix_patterns.h"
#include "common/mta/postfix_table.h"

enum { DEPTH_MAX = 4 };

static struct postfix_lookup *open_at(const char *dir, const char *table,
    struct string_list *files, unsigned depth);

struct postfix_lookup *
postfix_lookup_new(
    enum postfix_lookup_kind kind, const char *name, const char *why)
{
	struct postfix_lookup *l = calloc(1, sizeof(*l));

	assert((kind == LOOKUP_BROKEN) == (why != NULL));
	if (l == NULL)
		return NULL;
	l->kind = kind;
	l->fixed = kind != LOOKUP_PATTERNS && kind != LOOKUP_NEVER;
	l->name = strdup(name);
	l->why = why == NULL ? NULL : strdup(why);
	if (l->name != NULL && (why == NULL || l->why != NULL))
		return l;
	postfix_lookup_free(l);
	return NULL;
}

void
postfix_lookup_free(struct postfix_lookup *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n_members; i++)
		postfix_lookup_free(l->member[i]);
	free(l->member);
	strset_release(&l->keys);
	postfix_patterns_free(l->patterns);
	postfix_ask_free(l->ask);
	free(l->name);
	free(l->why);
	free(l);
}

static struct postfix_lookup *
broken(const char *table, const struct err *err)
{
	return postfix_lookup_new(LOOKUP_BROKEN, table, err->text);
}

int
postfix_lookup_add(struct postfix_lookup *l, const char *name, size_t len)
{
	char text[DOMAIN_TEXT_MAX + 1];
	bool ascii = true;

	assert(l->kind == LOOKUP_KEYS);
	if (len == 0 || len >= DOMAIN_TEXT_MAX)
		return 0;
	for (size_t i = 0; i < len; i++)
		ascii &= (unsigned char)name[i] < 0x80;
	size_t dot = *name == '.' && len > 1;

	if (ascii) {
		for (size_t i = 0; i < len; i++)
			text[i] = name[i] >= 'A' && name[i] <= 'Z'
			    ? (char)(name[i] + 32)
			    : name[i];
		text[len] = '\0';
	} else {
		text[0] = '.';
		if (!domain_fold(name + dot, len - dot, text + dot))
			return 0;
	}
	return strset_add(&l->keys, text);
}

/* hash, btree ...: all of it, by postmap -s. */
static struct postfix_lookup *
open_keys(const char *dir, const char *table, struct string_list *files)
{
	struct err err;
	char *text = postfix_table_list(dir, table, files, &err), *save = NULL;
	struct postfix_lookup *l = text == NULL
	    ? broken(table, &err)
	    : postfix_lookup_new(LOOKUP_KEYS, table, NULL);

	for (char *line = text == NULL ? NULL : strtok_r(text, "\n", &save);
	     l != NULL && line != NULL; line = strtok_r(NULL, "\n", &save)) {
		size_t n = strcspn(line, "\t");

		/* a virtual alias table holds addresses, too */
		if (memchr(line, '@', n) != NULL ||
		    postfix_lookup_add(l, line, n) == 0)
			continue;
		postfix_lookup_free(l);
		l = NULL;
	}
	free(text);
	return l;
}

struct text_keys {
	struct postfix_lookup *l;
	bool no_memory;
};

/* A postfix_table_entry. */
static void
take_key(
    void *arg, enum postfix_table_kind kind, const char *key, const char *value)
{
	struct text_keys *t = arg;

	(void)kind;
	if (*value == '\0') /* Postfix ignores such a line */
		return;
	/* Postfix looks for lower case, and leaves the table's as it is */
	for (const char *at = key; *at != '\0'; at++)
		if ((*at >= 'A' && *at <= 'Z') || *at == '@')
			return;
	if (postfix_lookup_add(t->l, key, strlen(key)) == -1)
		t->no_memory = true;
}

/* texthash, inline: postmap -s would fold their keys. */
static struct postfix_lookup *
open_text(const char *dir, const char *table, struct string_list *files)
{
	struct text_keys t = { .l = postfix_lookup_new(
				   LOOKUP_KEYS, table, NULL) };
	const char *path = postfix_table_path(table);
	char why[POSTFIX_WHY_MAX];
	struct err err;
	bool ok = t.l != NULL;

	if (ok && path != NULL)
		ok = string_list_add(files, path, strlen(path));
	if (!ok)
		t.no_memory = true;
	else
		ok = postfix_table_read(dir, table, take_key, &t, why);
	if (ok && !t.no_memory)
		return t.l;
	postfix_lookup_free(t.l);
	if (t.no_memory)
		return NULL;
	err_set(&err, ERR_IO, "%s", why);
	return broken(table, &err);
}

static bool
is_type(const char *table, const char *type)
{
	return strncmp(table, type, strlen(type)) == 0;
}

/* Any type of table that postmap can ask. */
static struct postfix_lookup *
open_ask(const char *dir, const char *table)
{
	struct postfix_lookup *l = postfix_lookup_new(LOOKUP_ASK, table, NULL);

	if (l != NULL &&
	    (is_type(table, "socketmap:") || is_type(table, "tcp:")))
		l->fixed = false;
	if (l != NULL && (l->ask = postfix_ask_new(dir, table)) == NULL) {
		postfix_lookup_free(l);
		return NULL;
	}
	return l;
}

static struct postfix_lookup *
open_patterns(const char *dir, const char *table, const char *path)
{
	struct err err;
	char *text = conf_file_read(path);

	if (text == NULL) {
		err_set(&err, ERR_IO, "%s: %s", path, strerror(errno));
		return broken(table, &err);
	}
	struct postfix_patterns *patterns =
	    postfix_patterns_new(text, strncmp(table, "pcre:", 5) == 0, &err);
	struct postfix_lookup *l = patterns == NULL
	    ? open_ask(dir, table)
	    : postfix_lookup_new(LOOKUP_PATTERNS, table, NULL);

	free(text);
	if (l == NULL)
		postfix_patterns_free(patterns);
	else
		l->patterns = patterns;
	if (l != NULL)
		l->fixed = false;
	return l;
}

static bool
add_member(struct postfix_lookup *l, struct postfix_lookup *member)
{
	struct postfix_lookup **v = member == NULL
	    ? NULL
	    : reallocarray(
		  l->member, l->n_members + 1, sizeof(struct postfix_lookup *));

	if (v == NULL) {
		postfix_lookup_free(member);
		return false;
	}
	l->member = v;
	v[l->n_members++] = member;
	l->fixed |= member->fixed;
	return true;
}

/* unionmap:{type:name, type:{...}} */
static struct postfix_lookup *
open_union(const char *dir, const char *table, struct string_list *files,
    unsigned depth)
{
	struct postfix_lookup *l = postfix_lookup_new(LOOKUP_ANY, table, NULL);
	const char *at = strchr(table, ':') + 1, *word;
	size_t n = strlen(at);
	char *inside = n >= 2 && *at == '{' && at[n - 1] == '}'
	    ? strndup(at + 1, n - 2)
	    : NULL;
	bool ok = l != NULL && inside != NULL;

	if (ok)
		l->fixed = false;
	for (at = inside; ok && (n = postfix_next_word(&at, &word)) > 0;) {
		char *member = strndup(word, n);

		ok = member != NULL &&
		    add_member(l, open_at(dir, member, files, depth + 1));
		free(member);
	}
	if (inside != NULL && ok) {
		free(inside);
		return l;
	}
	/* postmap will say what is wrong with it */
	postfix_lookup_free(l);
	free(inside);
	return open_ask(dir, table);
}

static struct postfix_lookup *
open_at(const char *dir, const char *table, struct string_list *files,
    unsigned depth)
{
	const char *path;

	/* what proxymap(8) would ask, asked without it: only Postfix's own
	 * user gets at its socket */
	while (is_type(table, "proxy:"))
		table += 6;
	path = postfix_table_path(table);
	if (is_type(table, "texthash:") || is_type(table, "inline:"))
		return open_text(dir, table, files);
	if (postfix_table_listable(table))
		return open_keys(dir, table, files);
	if (path != NULL && !string_list_add(files, path, strlen(path)))
		return NULL;
	if (is_type(table, "static:") || is_type(table, "randmap:"))
		return postfix_lookup_new(LOOKUP_ALWAYS, table, NULL);
	if (is_type(table, "cidr:"))
		return postfix_lookup_new(LOOKUP_NEVER, table, NULL);
	if ((is_type(table, "regexp:") || is_type(table, "pcre:")) &&
	    path != NULL)
		return open_patterns(dir, table, path);
	if (is_type(table, "unionmap:") && depth < DEPTH_MAX)
		return open_union(dir, table, files, depth);
	return open_ask(dir, table);
}

struct postfix_lookup *
postfix_lookup_open(
    const char *dir, const char *table, struct string_list *files)
{
	return open_at(dir, table, files, 0);
}

/* A member that fails makes the whole fail, as Postfix has it. */
static enum postfix_answer
get_any(const struct postfix_lookup *l, const char *const keys[], size_t n,
    bool wait)
{
	enum postfix_answer found = POSTFIX_NONE, a;

	for (size_t i = 0; i < l->n_members; i++) {
		a = postfix_lookup_get(l->member[i], keys, n, wait);
		if (a == POSTFIX_FAILED)
			return a;
		if (a == POSTFIX_PENDING || found == POSTFIX_NONE)
			found = a;
	}
	return found;
}

enum postfix_answer
postfix_lookup_get(const struct postfix_lookup *l, const char *const keys[],
    size_t n, bool wait)
{
	int rc;

	assert(n > 0);
	switch (l->kind) {
	case LOOKUP_BROKEN:
		break;
	case LOOKUP_KEYS:
		return strset_has(&l->keys, keys[0]) ? POSTFIX_FOUND
						     : POSTFIX_NONE;
	case LOOKUP_ALWAYS:
		return POSTFIX_FOUND;
	case LOOKUP_NEVER:
		return POSTFIX_NONE;
	case LOOKUP_PATTERNS:
		rc = postfix_patterns_match(l->patterns, keys[0]);
		return rc == 1 ? POSTFIX_FOUND
		    : rc == 0  ? POSTFIX_NONE
			       : POSTFIX_FAILED;
	case LOOKUP_ASK:
		return postfix_ask_keys(l->ask, keys, n, wait);
	case LOOKUP_ANY:
		return get_any(l, keys, n, wait);
	}
	return POSTFIX_FAILED;
}
