/* SPDX-License-Identifier: ISC */
/* chance - a generator whose numbers follow from its state alone, so that a
 * failure can be had again from the seed that the test prints. One thread. */
#ifndef POPGATE_CHANCE_H
#define POPGATE_CHANCE_H

#include <stdint.h>

static uint64_t random_state;

/* From 0 to n - 1. */
static inline unsigned
random_below(unsigned n)
{
	random_state = random_state * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (unsigned)(random_state >> 33) % n;
}

#endif
