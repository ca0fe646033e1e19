/* SPDX-License-Identifier: ISC */
#include "common/base/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static int64_t
read_ms(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_now(void)
{
	return read_ms(CLOCK_REALTIME) / 1000;
}

int64_t
clock_now_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

int64_t
clock_monotonic_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

int64_t
clock_coarse_ms(void)
{
	return read_ms(CLOCK_MONOTONIC_COARSE);
}

int64_t
clock_monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

const char *
clock_text(int64_t at, char *buf)
{
	time_t t = (time_t)at;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL ||
	    strftime(buf, CLOCK_TEXT_MAX, "%Y-%m-%d %H:%M:%S %z", &tm) == 0)
		(void)snprintf(buf, CLOCK_TEXT_MAX, "@%" PRId64, at);
	return buf;
}

const char *
clock_mail_date(int64_t at, char *buf)
{
	/* not strftime's names: the locale is no matter of RFC 5322 */
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)at;
	char zone[8];
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		tm = (struct tm){ .tm_mday = 1, .tm_wday = 4, .tm_year = 70 };
	(void)strftime(zone, sizeof(zone), "%z", &tm);
	(void)snprintf(buf, CLOCK_TEXT_MAX,
	    "%.3s, %d %.3s %d %02d:%02d:%02d %s", days + 3 * tm.tm_wday,
	    tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour,
	    tm.tm_min, tm.tm_sec, zone);
	return buf;
}

void
clock_deadline(int ms, struct timespec *until)
{
	assert(ms >= 0);
	(void)clock_gettime(CLOCK_MONOTONIC, until);
	until->tv_sec += ms / 1000;
	until->tv_nsec += (long)(ms % 1000) * 1000000;
	if (until->tv_nsec >= 1000000000) {
		until->tv_nsec -= 1000000000;
		until->tv_sec++;
	}
	assert(until->tv_nsec >= 0 && until->tv_nsec < 1000000000);
}
