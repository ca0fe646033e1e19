/* SPDX-License-Identifier: ISC */
#include "common/db/audit_ticket.h"

#include <assert.h>
#include <string.h>

void
tickets_lose(struct audit_tickets *t, uint64_t from, uint64_t to)
{
	struct lost_range *r = t->lost;
	unsigned n = t->n_lost;

	if (from > to)
		return;
	assert(from > 0);
	assert(to <= t->taken);
	assert(n == 0 || r[n - 1].to <= to);
	for (; n > 0 && r[n - 1].to + 1 >= from; n--)
		from = from < r[n - 1].from ? from : r[n - 1].from;
	if (n == LOST_RANGES) {
		r[1].from = r[0].from;
		memmove(r, r + 1, (LOST_RANGES - 1) * sizeof(*r));
		n--;
	}
	r[n] = (struct lost_range){ .from = from, .to = to };
	t->n_lost = n + 1;
	assert(n == 0 || r[n - 1].to < from);
}

enum audit_state
tickets_state(const struct audit_tickets *t, uint64_t first, uint64_t last)
{
	if (last == 0)
		return AUDIT_LOST;
	assert(first <= last);
	assert(t->durable <= t->written && t->n_lost <= LOST_RANGES);
	if (last > t->written)
		return AUDIT_PENDING;
	for (unsigned i = t->n_lost; i-- > 0;)
		if (first <= t->lost[i].to && last >= t->lost[i].from)
			return AUDIT_LOST;
	return last > t->durable ? AUDIT_WRITTEN : AUDIT_DURABLE;
}

bool
tickets_settled(const struct audit_tickets *t, uint64_t ticket)
{
	enum audit_state state = tickets_state(t, ticket, ticket);

	return state == AUDIT_DURABLE || state == AUDIT_LOST;
}
