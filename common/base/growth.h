/* SPDX-License-Identifier: ISC */
/* growth - how much a count has grown in the last minute. One thread, or the
 * caller's lock. */
#ifndef POPGATE_GROWTH_H
#define POPGATE_GROWTH_H

#include <stdint.h>

enum { GROWTH_SAMPLES = 13, GROWTH_STEP_MS = 5000 };

struct growth {
	struct {
		int64_t ms;
		uint64_t total;
	} sample[GROWTH_SAMPLES];
	unsigned newest, n;
};

/* Say what the count is now; every second or so. */
void growth_note(struct growth *r, int64_t now_ms, uint64_t total);

/* The growth in the minute before now_ms (or since the first note). */
uint64_t
growth_per_minute(const struct growth *r, int64_t now_ms, uint64_t total);

#endif
