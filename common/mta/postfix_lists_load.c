/* SPDX-License-Identifier: ISC */
/* postfix_lists_load - the lists of a Postfix's own domains, read from its
 * configuration. */
#include "common/mta/postfix_lists.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/err.h"
#include "common/mta/conf_file.h"
#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_lists_state.h"
#include "common/mta/postfix_table.h"

/* A list on its way. */
struct loading {
	const char *dir;
	const struct postfix_lists *lists;
	struct list *list;
	struct string_list *files;
	struct strset *names;
	struct string_list *warnings;
	struct err *err;
};

static int
no_memory(struct err *err)
{
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

static int warn(const struct loading *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int
warn(const struct loading *l, const char *fmt, ...)
{
	char text[1000];
	va_list ap;
	int n = snprintf(text, sizeof(text), "%.300s/main.cf: %s: ", l->dir,
	    l->list->setting);

	va_start(ap, fmt);
	(void)vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	return string_list_add(l->warnings, text, strlen(text))
	    ? 0
	    : no_memory(l->err);
}

static struct word *
new_word(const struct loading *l, bool out, struct postfix_lookup *lookup)
{
	struct list *list = l->list;
	struct word *v = lookup == NULL
	    ? NULL
	    : reallocarray(list->v, list->n + 1, sizeof(*v));

	if (v == NULL) {
		postfix_lookup_free(lookup);
		(void)no_memory(l->err);
		return NULL;
	}
	list->v = v;
	v[list->n] = (struct word){ .out = out, .lookup = lookup };
	return &v[list->n++];
}

static int
add_name(const struct loading *l, bool out, const char *name)
{
	struct list *list = l->list;
	struct word *last = list->n == 0 ? NULL : &list->v[list->n - 1];

	if (strcmp(name, "*") == 0 && !out)
		return warn(l,
		    "'*' is no pattern to Postfix, which takes it for a domain of that name: it makes no domain its own");
	if (!out && list->below && postfix_is_top_level(name) &&
	    warn(l,
		"'%.100s' holds every domain below it: popgate doesn't take these for its own, mail there is relayed",
		name) == -1)
		return -1;
	if (last == NULL || last->out != out ||
	    last->lookup->kind != LOOKUP_KEYS || *last->lookup->name != '\0') {
		last =
		    new_word(l, out, postfix_lookup_new(LOOKUP_KEYS, "", NULL));
		if (last == NULL)
			return -1;
	}
	return postfix_lookup_add(last->lookup, name, strlen(name)) == 0
	    ? 0
	    : no_memory(l->err);
}

/* Advice for a table that can't be asked. */
static const char *
advice(const char *why)
{
	if (strstr(why, "Permission denied") != NULL)
		return "let popgate-milter's user read its file (a member of the file's group, or setfacl -m u:popgate:r)";
	if (strstr(why, "unsupported dictionary type") != NULL)
		return "Postfix has no such table here, either: install its package, as postfix-mysql";
	return "mend it, or name its domains in relay.local_domains too";
}

/* Say what is wrong with a table, if something is. An ASK is asked for a name
 * that nobody has: it shows whether it can be asked. */
static int
examine(const struct loading *l, const struct postfix_lookup *lookup)
{
	static const char *const nobody[] = { "popgate-asks.invalid" };
	char why[ERR_TEXT_MAX];
	int ret = 0;

	if (lookup->kind == LOOKUP_BROKEN)
		return warn(l,
		    "%.200s can't be read: %.300s; recipients of domains that no list before it has get a temporary failure. What to do: %s",
		    lookup->name, lookup->why, advice(lookup->why));
	if (lookup->kind == LOOKUP_ASK &&
	    postfix_lookup_get(lookup, nobody, 1, true) == POSTFIX_FAILED) {
		if (!postfix_ask_failed(lookup->ask, why, sizeof(why)))
			(void)snprintf(why, sizeof(why), "no answer");
		return warn(l,
		    "%.200s can't be asked: %.300s; until it can, recipients of domains that no list before it has get a temporary failure. What to do: %s",
		    lookup->name, why, advice(why));
	}
	for (size_t i = 0; ret == 0 && i < lookup->n_members; i++)
		ret = examine(l, lookup->member[i]);
	return ret;
}

static int
list_names(const struct loading *l, const struct postfix_lookup *lookup)
{
	const struct strset *keys = &lookup->keys;
	char below[DOMAIN_TEXT_MAX + 1];

	for (size_t i = 0; i < keys->size; i++) {
		const char *key = keys->slot[i];

		if (key == NULL || (*key == '.' && !l->list->below) ||
		    (l->list->below && postfix_is_top_level(key)))
			continue;
		if (strset_add(l->names, key) == -1)
			return no_memory(l->err);
		if (!l->list->below || !l->list->parents || *key == '.' ||
		    *key == '[')
			continue;
		(void)snprintf(below, sizeof(below), ".%.255s", key);
		if (strset_add(l->names, below) == -1)
			return no_memory(l->err);
	}
	return 0;
}

/* Has the table names that a stranger could make up? */
static bool
has_everything(const struct loading *l, const struct postfix_lookup *lookup)
{
	for (size_t i = 0; i < NOBODIES; i++) {
		const char *nobody = l->lists->nobody[i];

		if (postfix_lookup_get(lookup, &nobody, 1, true) ==
		    POSTFIX_FOUND)
			return true;
	}
	return false;
}

static int
add_table(const struct loading *l, bool out, const char *table)
{
	struct word *w =
	    new_word(l, out, postfix_lookup_open(l->dir, table, l->files));

	if (w == NULL || examine(l, w->lookup) == -1)
		return -1;
	/* mail for the other lists' domains stays here: no relaying */
	if (out || !l->list->below || !has_everything(l, w->lookup))
		return 0;
	w->off = true;
	return warn(l,
	    "%.200s has every domain there is: popgate takes none of them for its own, mail there is relayed. What to do: name the domains",
	    table);
}

static int
add_words(const struct loading *l, bool out, const char *text, unsigned depth);

/* Its lines are words of the list. */
static int
add_file(const struct loading *l, bool out, const char *path, unsigned depth)
{
	char *text, *save = NULL, why[ERR_TEXT_MAX];
	int ret = 0;

	if (!string_list_add(l->files, path, strlen(path)))
		return no_memory(l->err);
	text = depth < FILE_DEPTH_MAX ? conf_file_read(path) : NULL;
	if (text == NULL) {
		(void)snprintf(why, sizeof(why), "%s",
		    depth < FILE_DEPTH_MAX ? strerror(errno)
					   : "files name each other");
		struct word *w = new_word(
		    l, out, postfix_lookup_new(LOOKUP_BROKEN, path, why));

		return w == NULL ? -1 : examine(l, w->lookup);
	}
	for (char *line = strtok_r(text, "\n", &save); ret == 0 && line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		ret = add_words(l, out, line, depth + 1);
	free(text);
	return ret;
}

static int
add_word(const struct loading *l, bool out, const char *word, size_t n,
    unsigned depth)
{
	for (; n > 0 && *word == '!'; word++, n--)
		out = !out;
	if (n == 0)
		return warn(l, "'!' without a pattern ends Postfix");
	char *text = strndup(word, n);
	int ret;

	if (text == NULL)
		return no_memory(l->err);
	if (*text == '/')
		ret = add_file(l, out, text, depth);
	else if (*text != '[' && strchr(text, ':') != NULL)
		ret = add_table(l, out, text);
	else
		ret = add_name(l, out, text);
	free(text);
	return ret;
}

static int
add_words(const struct loading *l, bool out, const char *text, unsigned depth)
{
	const char *word;
	size_t n;
	int ret = 0;

	/* "#" before a word: the rest of the line is a comment */
	while (ret == 0 && (n = postfix_next_word(&text, &word)) > 0 &&
	    *word != '#')
		ret = add_word(l, out, word, n, depth);
	return ret;
}

/* Is the setting a word of the list? */
static bool
names_setting(const char *list, const char *setting)
{
	const char *word;
	size_t n;

	while ((n = postfix_next_word(&list, &word)) > 0)
		if (strlen(setting) == n && strncmp(word, setting, n) == 0)
			return true;
	return false;
}

static int
load_list(const struct loading *l)
{
	char *value = postfix_setting(l->dir, l->list->setting, l->err);
	int ret = value == NULL ? -1 : add_words(l, false, value, 0);

	free(value);
	for (size_t i = 0; ret == 0 && i < l->list->n; i++) {
		const struct word *w = &l->list->v[i];

		if (!w->out && !w->off && w->lookup->kind == LOOKUP_KEYS)
			ret = list_names(l, w->lookup);
	}
	return ret;
}

/* In the order in which trivial-rewrite(8) asks them. */
static const struct list kinds[LISTS] = {
	{ .setting = "mydestination" },
	{ .setting = "virtual_alias_domains" },
	{ .setting = "virtual_mailbox_domains" },
	{ .setting = "relay_domains", .below = true },
};

static void
name_nobody(struct postfix_lists *l)
{
	static const char *const tops[NOBODIES] = { "com", "net", "org" };
	unsigned chance[2] = { 0 };

	(void)!getrandom(chance, sizeof(chance), 0);
	for (size_t i = 0; i < NOBODIES; i++)
		(void)snprintf(l->nobody[i], sizeof(l->nobody[i]),
		    "nobody-%08x%08x.%s", chance[0], chance[1], tops[i]);
}

struct postfix_lists *
postfix_lists_load(const char *dir, struct string_list *files,
    struct strset *names, struct string_list *warnings, struct err *err)
{
	struct postfix_lists *lists = calloc(1, sizeof(*lists));
	struct loading l = { .dir = dir,
		.files = files,
		.names = names,
		.warnings = warnings,
		.err = err };
	char main_cf[600];
	char *parents =
	    postfix_setting(dir, "parent_domain_matches_subdomains", err);
	int ret = parents == NULL ? -1 : 0;

	if (lists == NULL)
		ret = no_memory(err);
	else
		name_nobody(lists);
	l.lists = lists;
	for (size_t i = 0; ret == 0 && i < LISTS; i++) {
		l.list = &lists->list[i];
		*l.list = kinds[i];
		l.list->parents =
		    names_setting(parents, kinds[i].setting) && l.list->below;
		ret = load_list(&l);
	}
	free(parents);
	if (ret == 0)
		ret = postfix_literals_load(dir, &lists->literals, err);
	(void)snprintf(main_cf, sizeof(main_cf), "%.400s/main.cf", dir);
	if (ret == 0 && !string_list_add(files, main_cf, strlen(main_cf)))
		ret = no_memory(err);
	if (ret == 0)
		return lists;
	postfix_lists_free(lists);
	return NULL;
}
