/* SPDX-License-Identifier: ISC */
/* postfix_wiring_table - what the tables of a list do to everybody who is
 * looked up, and the restrictions that their results name. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/strings.h"
#include "common/mta/postfix_table.h"
#include "common/mta/postfix_wiring_work.h"
#include "common/mta/restrict.h"

enum { WORD_LEN = 200 };

static void
take_words(struct wiring_table *t, const char *list)
{
	char word[WORD_LEN];

	/* without memory a class isn't known, and not asked in */
	while (restrict_word(&list, word, sizeof(word)))
		if (!string_list_has(&t->words, word))
			(void)string_list_add(&t->words, word, strlen(word));
}

static void
take_entry(
    void *arg, enum postfix_table_kind kind, const char *key, const char *value)
{
	struct wiring_table *t = arg;
	enum access_result result = access_result_parse(value);
	bool permits = result == RESULT_OK || result == RESULT_DIGITS ||
	    strcasecmp(value, "permit") == 0;
	bool all = kind == TABLE_ALWAYS ||
	    (kind == TABLE_PATTERN && postfix_pattern_is_all(key)) ||
	    (kind == TABLE_CIDR &&
		(strcmp(key, "0.0.0.0/0") == 0 || strcmp(key, "::/0") == 0));

	t->permits |= permits;
	if (result == RESULT_LIST)
		take_words(t, value);
	if (!all || t->all_permitted || t->all_refused)
		return;
	t->all_permitted = permits;
	t->all_refused =
	    result == RESULT_REJECT || strcasecmp(value, "reject") == 0;
}

static struct wiring_table *
add(struct wiring_tables *tables, const char *name)
{
	struct wiring_table **v = reallocarray(
	    tables->v, tables->n + 1, sizeof(struct wiring_table *));
	struct wiring_table *t = NULL;

	if (v == NULL)
		return NULL;
	tables->v = v;
	t = calloc(1, sizeof(*t));
	if (t == NULL || (t->name = strdup(name)) == NULL) {
		free(t);
		return NULL;
	}
	v[tables->n++] = t;
	return t;
}

const struct wiring_table *
wiring_table(const struct wiring_work *w, const char *name)
{
	const char *dir = w->pf->dir;
	char why[POSTFIX_WHY_MAX];

	for (size_t i = 0; i < w->tables->n; i++)
		if (strcmp(w->tables->v[i]->name, name) == 0)
			return w->tables->v[i];
	struct wiring_table *t = add(w->tables, name);

	if (t != NULL && (dir != NULL || strncmp(name, "static:", 7) == 0))
		(void)postfix_table_read(
		    dir == NULL ? "" : dir, name, take_entry, t, why);
	return t;
}

void
wiring_tables_release(struct wiring_tables *tables)
{
	for (size_t i = 0; i < tables->n; i++) {
		string_list_release(&tables->v[i]->words);
		free(tables->v[i]->name);
		free(tables->v[i]);
	}
	free(tables->v);
	*tables = (struct wiring_tables){ 0 };
}
