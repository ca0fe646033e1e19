/* SPDX-License-Identifier: ISC */
/* duration - how the configuration and popgatectl write a time, a rate and a
 * size: "30m", "100/1h", "8G". Pure. Threads: any. */
#ifndef POPGATE_DURATION_H
#define POPGATE_DURATION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/records/limit.h"

#define DURATION_MAX_S (INT64_C(100) * 366 * 86400)

/* Parse "90s", "30m", "2h", "14d", "1w" or plain seconds into seconds.
 * Returns false when text is none of these or above DURATION_MAX_S; *seconds_r
 * is then as it was. */
bool duration_parse(const char *text, int64_t *seconds_r);

/* 5400 -> "90m", 7200 -> "2h", into buf of at least DURATION_TEXT_MAX.
 * Returns buf. */
enum { DURATION_TEXT_MAX = 24 };
const char *duration_format(int64_t seconds, char *buf);

/* Parse "100/1h" or "off" into rate; "off" leaves the window as it is.
 * Returns false when text is none of these, or the number is 0 or above
 * RATE_MAX; rate is then as it was. */
enum { RATE_MAX = 10000000 };
bool rate_parse(const char *text, struct limit_rate *rate);

/* The reverse, into buf of at least RATE_TEXT_MAX. Returns buf. */
enum { RATE_TEXT_MAX = 48 };
const char *rate_format(const struct limit_rate *rate, char *buf);

/* Parse "500M" or "8G" into bytes: a whole number, at most six digits, of K, M,
 * G or T, in powers of 1024. Returns false for anything else; *bytes_r is then
 * as it was. */
bool size_parse(const char *text, int64_t *bytes_r);

/* The reverse, into buf of at least SIZE_TEXT_MAX; bytes are whole kilobytes.
 * Returns buf. */
enum { SIZE_TEXT_MAX = 24 };
const char *size_format(int64_t bytes, char *buf);

#endif
