/* rate - how much a count has grown in the last minute. One thread, or the
 * caller's lock. */
#ifndef POPGATE_RATE_H
#define POPGATE_RATE_H

#include <stdint.h>

enum { RATE_SAMPLES = 13, RATE_STEP_MS = 5000 };

struct rate {
	struct {
		int64_t ms;
		uint64_t total;
	} sample[RATE_SAMPLES];
	unsigned newest, n;
};

/* Say what the count is now; every second or so. */
void rate_note(struct rate *r, int64_t now_ms, uint64_t total);

/* What was added in the minute before now_ms (or since the first note). */
uint64_t rate_per_minute(const struct rate *r, int64_t now_ms, uint64_t total);

#endif
