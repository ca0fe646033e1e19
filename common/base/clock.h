/* SPDX-License-Identifier: ISC */
/* clock - the time of day, and deadlines. Any thread. */
#ifndef POPGATE_CLOCK_H
#define POPGATE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Unix time in seconds, milliseconds. */
int64_t clock_now(void);
int64_t clock_now_ms(void);

/* Milliseconds and nanoseconds that only go forward. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_ns(void);
/* clock_monotonic_ms(), cheaper, and up to a kernel's tick (4-10 ms) old. */
int64_t clock_coarse_ms(void);

enum { CLOCK_TEXT_MAX = 48 };

/* Unix seconds in the local zone: "2026-11-21 12:00:00 +0100", which popgatectl
 * takes as a time; "@" and the seconds where no calendar has them. buf of
 * CLOCK_TEXT_MAX. Returns buf. */
const char *clock_text(int64_t at, char *buf);

/* A time as a message's Date: "Sat, 21 Nov 2026 12:00:00 +0100" (RFC 5322
 * section 3.3), without the header's name. buf of CLOCK_TEXT_MAX. Returns buf.
 */
const char *clock_mail_date(int64_t at, char *buf);

/* CLOCK_MONOTONIC plus ms, for pthread_cond_timedwait(). */
void clock_deadline(int ms, struct timespec *until);

#endif
