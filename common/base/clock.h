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
/* The same, cheaper, and up to a tick of the kernel (4-10 ms) old. */
int64_t clock_coarse_ms(void);

/* CLOCK_MONOTONIC plus ms, for pthread_cond_timedwait(). */
void clock_deadline(int ms, struct timespec *until);

#endif
