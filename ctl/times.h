/* SPDX-License-Identifier: ISC */
/* times - moments for people, and as people type them. Any thread. */
#ifndef POPGATE_TIMES_H
#define POPGATE_TIMES_H

#include <stdbool.h>
#include <stdint.h>

enum { TIME_TEXT_MAX = 64 };

/* Unix seconds as "2026-11-21 12:00:00 +0100"; "for ever"; "never" for 0.
 * buf of TIME_TEXT_MAX. Return buf. */
const char *time_local(int64_t at, char *buf);
/* "2026-11-21T12:00:00+01:00" */
const char *time_iso(int64_t at, char *buf);
/* "09:12" of the day of now, else "2026-11-21 09:12" */
const char *time_short(int64_t at, int64_t now, char *buf);
/* "4 min ago", "in 26 min", "now" */
const char *time_relative(int64_t at, int64_t now, char *buf);
/* "2026-11-21 12:00:00 +0100 (4 min ago)" */
const char *time_both(int64_t at, int64_t now, char *buf);

/* The same of what has happened. A moment that the clock reaches within a
 * minute is "(now)": others write while we read. A later one says that the
 * clock was set back. */
const char *time_past(int64_t at, int64_t now, char *buf);

/* A moment: "now", "@1700000000", "1700000000", "2026-11-21",
 * "2026-11-21 12:00[:00]" (or T), with Z or +01:00 behind when it isn't the
 * local zone, or "12:00[:00]".
 *   past  1: a duration is that long ago, a time of day the last one
 *         0: a duration is from now on, a time of day the next one
 * Returns false when text is none of these. */
bool time_parse(const char *text, int64_t now, int past, int64_t *at_r);

#endif
