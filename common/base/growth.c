/* SPDX-License-Identifier: ISC */
#include "common/base/growth.h"

#include <assert.h>

void
growth_note(struct growth *r, int64_t now_ms, uint64_t total)
{
	assert(r->n <= GROWTH_SAMPLES && r->newest < GROWTH_SAMPLES);
	if (r->n > 0 && now_ms - r->sample[r->newest].ms < GROWTH_STEP_MS)
		return;
	r->newest = (r->newest + 1) % GROWTH_SAMPLES;
	r->sample[r->newest].ms = now_ms;
	r->sample[r->newest].total = total;
	if (r->n < GROWTH_SAMPLES)
		r->n++;
}

uint64_t
growth_per_minute(const struct growth *r, int64_t now_ms, uint64_t total)
{
	uint64_t then = total;

	/* the oldest of the last minute; when there is none, nobody has
	 * noted anything for longer than that */
	for (unsigned i = 0; i < r->n; i++) {
		unsigned at = (r->newest + GROWTH_SAMPLES - i) % GROWTH_SAMPLES;

		if (now_ms - r->sample[at].ms > 60000)
			break;
		then = r->sample[at].total;
	}
	return total - then;
}
