/* SPDX-License-Identifier: ISC */
#include "common/mta/postfix_lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/mta/postfix_lists_state.h"

bool
postfix_is_top_level(const char *name)
{
	static const char *const tops[] = {
		"com",
		"net",
		"org",
		"info",
		"edu",
		"de",
	};

	name += *name == '.';
	for (size_t i = 0; i < sizeof(tops) / sizeof(*tops); i++)
		if (strcasecmp(tops[i], name) == 0)
			return true;
	return false;
}

/* The keys that a list asks a table for, as Postfix's match_hostname(): the
 * domain, then its parents. */
static size_t
keys_of(const struct list *list, const struct postfix_lookup *lookup,
    const char *domain, const char *keys[KEYS_MAX])
{
	size_t n = 0;

	keys[n++] = domain;
	if (!list->below || !lookup->fixed)
		return n;
	for (const char *dot = strchr(domain + 1, '.');
	     dot != NULL && n < KEYS_MAX; dot = strchr(dot + 1, '.'))
		if (dot[1] != '\0' && !postfix_is_top_level(dot))
			keys[n++] = dot + list->parents;
	return n;
}

/* Can the table change what it has without being loaded again? */
static bool
is_asked(const struct postfix_lookup *l)
{
	bool asked = l->kind == LOOKUP_ASK;

	for (size_t i = 0; !asked && i < l->n_members; i++)
		asked = is_asked(l->member[i]);
	return asked;
}

static enum postfix_answer
ask_word(const struct postfix_lists *lists, const struct list *list,
    const struct word *w, const char *domain, bool wait)
{
	const char *keys[KEYS_MAX + 1];
	size_t n = keys_of(list, w->lookup, domain, keys), last = n;
	enum postfix_answer a = POSTFIX_NONE;
	bool doubt = list->below && !w->out && is_asked(w->lookup);

	if (doubt)
		keys[last++] = lists->nobody[0];
	for (size_t i = 0; a == POSTFIX_NONE && i < n; i++)
		a = postfix_lookup_get(w->lookup, keys + i, last - i, wait);
	if (a != POSTFIX_FOUND || !doubt)
		return a;
	/* a table that has everything opens nothing */
	a = postfix_lookup_get(w->lookup, keys + n, 1, wait);
	return a == POSTFIX_FOUND ? POSTFIX_NONE
	    : a == POSTFIX_NONE   ? POSTFIX_FOUND
				  : a;
}

static enum postfix_answer
ask_list(const struct postfix_lists *lists, const struct list *list,
    const char *domain, bool wait)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct word *w = &list->v[i];

		if (w->off)
			continue;
		enum postfix_answer a = ask_word(lists, list, w, domain, wait);

		if (a == POSTFIX_FOUND && w->out)
			return POSTFIX_NONE;
		if (a != POSTFIX_NONE)
			return a;
	}
	return POSTFIX_NONE;
}

enum postfix_answer
postfix_lists_ask(const struct postfix_lists *l, const char *domain, bool wait)
{
	if (*domain == '[' && postfix_literals_has(l->literals, domain))
		return POSTFIX_FOUND;
	/* an address without brackets: smtpd refuses the syntax */
	bool number = domain[strspn(domain, "0123456789.")] == '\0';

	for (size_t i = 0; i < LISTS; i++) {
		enum postfix_answer a = ask_list(l, &l->list[i], domain, wait);

		if (a != POSTFIX_NONE)
			return number && a == POSTFIX_FOUND ? POSTFIX_NONE : a;
	}
	return POSTFIX_NONE;
}

static size_t
count_broken(const struct postfix_lookup *l)
{
	size_t n = l->kind == LOOKUP_BROKEN;

	for (size_t i = 0; i < l->n_members; i++)
		n += count_broken(l->member[i]);
	return n;
}

size_t
postfix_lists_broken(const struct postfix_lists *l)
{
	size_t n = 0;

	for (size_t i = 0; i < LISTS; i++)
		for (size_t k = 0; k < l->list[i].n; k++)
			n += count_broken(l->list[i].v[k].lookup);
	return n;
}

static bool
lookup_failed(const struct postfix_lookup *l, char *why, size_t size)
{
	bool failed =
	    l->kind == LOOKUP_ASK && postfix_ask_failed(l->ask, why, size);

	for (size_t i = 0; !failed && i < l->n_members; i++)
		failed = lookup_failed(l->member[i], why, size);
	return failed;
}

bool
postfix_lists_failed(const struct postfix_lists *l, char *text, size_t size)
{
	char why[ERR_TEXT_MAX];

	for (size_t i = 0; i < LISTS; i++)
		for (size_t k = 0; k < l->list[i].n; k++) {
			const struct postfix_lookup *lookup =
			    l->list[i].v[k].lookup;

			if (!lookup_failed(lookup, why, sizeof(why)))
				continue;
			(void)snprintf(text, size, "%s: %.100s: %.300s",
			    l->list[i].setting, lookup->name, why);
			return true;
		}
	return false;
}

void
postfix_lists_free(struct postfix_lists *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < LISTS; i++) {
		for (size_t k = 0; k < l->list[i].n; k++)
			postfix_lookup_free(l->list[i].v[k].lookup);
		free(l->list[i].v);
	}
	postfix_literals_free(l->literals);
	free(l);
}
