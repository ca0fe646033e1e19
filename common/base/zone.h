/* SPDX-License-Identifier: ISC */
/* zone - the time zone of log stamps that name none: the machine's, or a fixed
 * offset from UTC. Pure but for TZ, which zone_guess() takes from the
 * environment; any thread. */
#ifndef POPGATE_ZONE_H
#define POPGATE_ZONE_H

#include <stdbool.h>
#include <stdint.h>

enum { ZONE_TEXT_MAX = 7 /* "+05:30" */ };

struct zone {
	bool fixed; /* false: the machine's own zone */
	int east_s; /* with fixed: seconds east of UTC */
};

/* "UTC", "+05:30", "-0800". Returns false for anything else; *zone_r is filled
 * on true. */
bool zone_parse(const char *text, struct zone *zone_r);

/* Write a fixed zone as zone_parse() reads it; returns buf. */
const char *zone_format(const struct zone *zone, char buf[ZONE_TEXT_MAX]);

/* A line that was written at written_at (Unix seconds) has a stamp that means
 * stamped_at in zone. Are they so many quarters of an hour apart that the stamp
 * is one of another zone? Sets that zone. No zone is off by other amounts. */
bool zone_guess(const struct zone *zone, int64_t stamped_at, int64_t written_at,
    struct zone *guess_r);

#endif
