#include "strset.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a: the admin chose the names, so nobody can aim for collisions */
static size_t
hash(const char *text)
{
	uint64_t h = UINT64_C(1469598103934665603);

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return (size_t)h;
}

/* Where text is, or belongs. The set is never full. */
static bool
find(const struct strset *set, const char *text, size_t *i)
{
	for (*i = hash(text) & (set->size - 1); set->slot[*i] != NULL;
	    *i = (*i + 1) & (set->size - 1))
		if (strcmp(set->slot[*i], text) == 0)
			return true;
	return false;
}

static bool
grow(struct strset *set)
{
	struct strset new = {
		.size = set->size == 0 ? 64 : set->size * 2, .n = set->n
	};

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
	return 0;
}

bool
strset_has(const struct strset *set, const char *text)
{
	size_t i;

	return set->size != 0 && find(set, text, &i);
}

void
strset_release(struct strset *set)
{
	for (size_t i = 0; i < set->size; i++)
		free(set->slot[i]);
	free(set->slot);
	*set = (struct strset){ .n = 0 };
}
