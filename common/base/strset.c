/* SPDX-License-Identifier: ISC */
#include "common/base/strset.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fnv.h"

/* The admin chose the names, so nobody can aim for collisions. */
static size_t
hash(const char *text)
{
	return (size_t)fnv_add(FNV_START, text, strlen(text));
}

/* Where text is, or belongs. The set is never full. */
static bool
find(const struct strset *set, const char *text, size_t *i)
{
	assert(set->n < set->size && (set->size & (set->size - 1)) == 0);
	for (*i = hash(text) & (set->size - 1); set->slot[*i] != NULL;
	     *i = (*i + 1) & (set->size - 1))
		if (strcmp(set->slot[*i], text) == 0)
			return true;
	return false;
}

static bool
grow(struct strset *set)
{
	struct strset new = { .size = set->size == 0 ? 64 : set->size * 2,
		.n = set->n };

	new.slot = calloc(new.size, sizeof(*new.slot));
	if (new.slot == NULL)
		return false;
	for (size_t i = 0; i < set->size; i++) {
		size_t at = 0;

		if (set->slot[i] != NULL && !find(&new, set->slot[i], &at))
			new.slot[at] = set->slot[i];
	}
	free(set->slot);
	*set = new;
	return true;
}

int
strset_add(struct strset *set, const char *text)
{
	size_t i = 0;

	if ((set->n + 1) * 2 > set->size && !grow(set))
		return -1;
	if (find(set, text, &i))
		return 0;
	set->slot[i] = strdup(text);
	if (set->slot[i] == NULL)
		return -1;
	set->n++;
	assert(set->n * 2 <= set->size);
	return 0;
}

bool
strset_has(const struct strset *set, const char *text)
{
	size_t i;

	return set->size != 0 && find(set, text, &i);
}

size_t
strset_lost(
    const struct strset *was, const struct strset *is, char *buf, size_t size)
{
	size_t n = 0, at = 0;

	assert(size > 0);
	buf[0] = '\0';
	for (size_t i = 0; i < was->size; i++) {
		const char *text = was->slot[i];

		if (text == NULL || strset_has(is, text))
			continue;
		n++;
		if (at + strlen(text) + 2 > size)
			continue;
		at += (size_t)snprintf(
		    buf + at, size - at, "%s%s", at == 0 ? "" : " ", text);
	}
	return n;
}

void
strset_release(struct strset *set)
{
	for (size_t i = 0; i < set->size; i++)
		free(set->slot[i]);
	free(set->slot);
	*set = (struct strset){ .n = 0 };
}
