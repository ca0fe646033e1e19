/* SPDX-License-Identifier: ISC */
#include "common/db/audit_extra.h"

#include <assert.h>
#include <stddef.h>

bool
audit_extra_any(const struct audit_extra *e)
{
	bool any = e->breaches != NULL;

	for (int c = 0; c < 3; c++)
		for (int r = 0; r < REASONS; r++)
			any |= e->tallies[c][r] != 0;
	return any;
}

static struct breach **
end_of(struct breach **list)
{
	while (*list != NULL)
		list = &(*list)->next;
	return list;
}

void
audit_extra_add(struct audit_extra *e, struct breach *breach)
{
	assert(breach->next == NULL);
	assert((e->breaches == NULL) == (e->n_breaches == 0));
	*end_of(&e->breaches) = breach;
	e->n_breaches++;
}

struct audit_extra
audit_extra_take(struct audit_extra *e)
{
	struct audit_extra taken = *e;

	*e = (struct audit_extra){ .breaches = NULL };
	return taken;
}

void
audit_extra_give_back(struct audit_extra *e, struct audit_extra *taken)
{
	assert(e != taken);
	assert((e->breaches == NULL) == (e->n_breaches == 0));
	assert((taken->breaches == NULL) == (taken->n_breaches == 0));
	for (int c = 0; c < 3; c++)
		for (int r = 0; r < REASONS; r++)
			e->tallies[c][r] += taken->tallies[c][r];
	*end_of(&taken->breaches) = e->breaches;
	e->breaches = taken->breaches;
	e->n_breaches += taken->n_breaches;
	*taken = (struct audit_extra){ .breaches = NULL };
}
