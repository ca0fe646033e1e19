/* SPDX-License-Identifier: ISC */
#include "ctl/times.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/db/store.h"

static bool
local_time(int64_t at, struct tm *tm)
{
	time_t t = (time_t)at;

	return localtime_r(&t, tm) != NULL;
}

const char *
time_local(int64_t at, char *buf)
{
	static_assert(CLOCK_TEXT_MAX <= (int)TIME_TEXT_MAX, "buf has room");
	if (at == 0)
		memcpy(buf, "never", 6);
	else if (at >= STORE_FOREVER)
		memcpy(buf, "for ever", 9);
	else
		(void)clock_text(at, buf);
	return buf;
}

const char *
time_iso(int64_t at, char *buf)
{
	struct tm tm;

	if (!local_time(at, &tm) ||
	    strftime(buf, TIME_TEXT_MAX - 1, "%Y-%m-%dT%H:%M:%S%z", &tm) == 0) {
		(void)snprintf(buf, TIME_TEXT_MAX, "@%" PRId64, at);
		return buf;
	}
	/* strftime has +0100, ISO 8601's extended form wants +01:00 */
	size_t n = strlen(buf);

	assert(n > 2);
	memmove(buf + n - 1, buf + n - 2, 3);
	buf[n - 2] = ':';
	return buf;
}

const char *
time_short(int64_t at, int64_t now, char *buf)
{
	struct tm tm, today;

	if (!local_time(at, &tm) || !local_time(now, &today) ||
	    strftime(buf, TIME_TEXT_MAX,
		tm.tm_yday == today.tm_yday && tm.tm_year == today.tm_year
		    ? "%H:%M"
		    : "%Y-%m-%d %H:%M",
		&tm) == 0)
		(void)snprintf(buf, TIME_TEXT_MAX, "@%" PRId64, at);
	return buf;
}

const char *
time_relative(int64_t at, int64_t now, char *buf)
{
	static const struct {
		int64_t s;
		const char *name;
	} units[] = {
		{ 86400, "d" },
		{ 3600, "h" },
		{ 60, "min" },
		{ 1, "s" },
	};
	int64_t d = at > now ? at - now : now - at;
	size_t i = 0;

	if (d == 0) {
		memcpy(buf, "now", 4);
		return buf;
	}
	/* the largest unit that there are two of; else seconds */
	while (i < 3 && d < units[i].s * 2)
		i++;
	(void)snprintf(buf, TIME_TEXT_MAX,
	    at > now ? "in %" PRId64 " %s" : "%" PRId64 " %s ago",
	    d / units[i].s, units[i].name);
	return buf;
}

const char *
time_both(int64_t at, int64_t now, char *buf)
{
	char rel[TIME_TEXT_MAX];

	time_local(at, buf);
	if (at == 0 || at >= STORE_FOREVER)
		return buf;
	size_t n = strlen(buf);

	time_relative(at, now, rel);
	(void)snprintf(buf + n, TIME_TEXT_MAX - n, " (%.20s)", rel);
	return buf;
}

const char *
time_past(int64_t at, int64_t now, char *buf)
{
	enum { SOON_S = 60 };

	if (at <= now || at >= STORE_FOREVER)
		return time_both(at, now, buf);
	time_local(at, buf);
	size_t n = strlen(buf);

	(void)snprintf(buf + n, TIME_TEXT_MAX - n, " (%s)",
	    at - now <= SOON_S ? "now" : "later than now: clock set back?");
	return buf;
}

/* Digits of a fixed width; moves *p. */
static bool
take_digits(const char **p, int width, int *v)
{
	assert(width > 0 && width < 9);
	*v = 0;
	for (int i = 0; i < width; i++) {
		if ((*p)[i] < '0' || (*p)[i] > '9')
			return false;
		*v = *v * 10 + ((*p)[i] - '0');
	}
	*p += width;
	return true;
}

/* "HH:MM[:SS]"; moves *p. */
static bool
take_clock(const char **p, struct tm *tm)
{
	tm->tm_sec = 0;
	if (!take_digits(p, 2, &tm->tm_hour) || *(*p)++ != ':' ||
	    !take_digits(p, 2, &tm->tm_min))
		return false;
	if (**p == ':') {
		++*p;
		if (!take_digits(p, 2, &tm->tm_sec))
			return false;
	}
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 61;
}

/* Behind the clock: nothing (local time), "Z", "+01:00", " +0100". */
static bool
take_zone(const char *p, struct tm *tm, int64_t *at_r)
{
	int hours, minutes;

	if (*p == '\0') {
		tm->tm_isdst = -1;
		*at_r = mktime(tm);
		return true;
	}
	if (strcmp(p, "Z") == 0) {
		*at_r = timegm(tm);
		return true;
	}
	while (*p == ' ')
		p++;
	int sign = *p == '+' ? 1 : *p == '-' ? -1 : 0;

	p++;
	if (sign == 0 || !take_digits(&p, 2, &hours))
		return false;
	if (*p == ':')
		p++;
	if (!take_digits(&p, 2, &minutes) || *p != '\0' || hours > 14 ||
	    minutes > 59)
		return false;
	*at_r = timegm(tm) - (int64_t)sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool
parse_date(const char *p, int64_t *at_r)
{
	struct tm tm = { 0 };

	if (!take_digits(&p, 4, &tm.tm_year) || *p++ != '-' ||
	    !take_digits(&p, 2, &tm.tm_mon) || *p++ != '-' ||
	    !take_digits(&p, 2, &tm.tm_mday) || tm.tm_mon < 1 ||
	    tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31)
		return false;
	int month = --tm.tm_mon, day = tm.tm_mday;

	tm.tm_year -= 1900;
	if (*p == 'T' || *p == ' ') {
		p++;
		if (!take_clock(&p, &tm))
			return false;
	}
	/* 31 February would silently become 3 March */
	struct tm whole = {
		.tm_year = tm.tm_year,
		.tm_mon = month,
		.tm_mday = day,
		.tm_hour = 12,
	};

	(void)timegm(&whole);
	return whole.tm_mon == month && whole.tm_mday == day &&
	    take_zone(p, &tm, at_r);
}

/* "HH:MM[:SS]": the last or the next one of the local zone. */
static bool
parse_clock(const char *p, int64_t now, int past, int64_t *at_r)
{
	struct tm tm;

	if (!local_time(now, &tm) || !take_clock(&p, &tm) || *p != '\0')
		return false;
	tm.tm_isdst = -1;
	*at_r = mktime(&tm);
	if (past ? *at_r <= now : *at_r > now)
		return true;
	tm.tm_mday += past ? -1 : 1;
	tm.tm_isdst = -1;
	*at_r = mktime(&tm);
	return true;
}

bool
time_parse(const char *text, int64_t now, int past, int64_t *at_r)
{
	const char *digits = text + (*text == '@');
	size_t n = strspn(digits, "0123456789");
	int64_t s;

	assert(past == 0 || past == 1);
	if (strcmp(text, "now") == 0) {
		*at_r = now;
		return true;
	}
	if (n > 0 && n < 13 && digits[n] == '\0' && (*text == '@' || n >= 9)) {
		*at_r = strtoll(digits, NULL, 10);
		return *at_r <= STORE_FOREVER;
	}
	if (duration_parse(text, &s)) {
		*at_r = past ? now - s : now + s;
		return true;
	}
	return parse_date(text, at_r) || parse_clock(text, now, past, at_r);
}
