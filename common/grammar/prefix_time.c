/* SPDX-License-Identifier: ISC */
/* The half of prefix.h that converts time stamps. */
#include "common/grammar/prefix.h"

enum { DAY_S = 86400, YEAR_MIN = 1970, YEAR_MAX = 9999 };

/* Broken-down time as a line has it: nothing normalised yet. */
struct stamp {
	int year, month, day; /* month 1..12 */
	int hour, minute, second;
};

static bool
take_two(struct span *s, int *value_r)
{
	if (span_len(*s) < 2 || !char_digit(s->p[0]) || !char_digit(s->p[1]))
		return false;
	*value_r = (s->p[0] - '0') * 10 + (s->p[1] - '0');
	s->p += 2;
	return true;
}

static bool
take_year(struct span *s, int *value_r)
{
	int high, low;

	if (!take_two(s, &high) || !take_two(s, &low))
		return false;
	*value_r = high * 100 + low;
	return true;
}

static bool
take_month_name(struct span *s, int *month_r)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	if (span_len(*s) < 3)
		return false;
	for (const char *name = names; *name != '\0'; name += 3) {
		if (memcmp(s->p, name, 3) == 0) {
			*month_r = (int)(name - names) / 3 + 1;
			s->p += 3;
			return true;
		}
	}
	return false;
}

/* Two digits, the first of which may be a space or missing. */
static bool
take_padded_day(struct span *s, int *day_r)
{
	if (span_len(*s) >= 2 && s->p[0] == ' ' && char_digit(s->p[1])) {
		*day_r = s->p[1] - '0';
		s->p += 2;
		return true;
	}
	if (span_len(*s) >= 2 && char_digit(s->p[0]) && s->p[1] == ' ') {
		*day_r = s->p[0] - '0';
		s->p++;
		return true;
	}
	return take_two(s, day_r);
}

static bool
take_clock(struct span *s, struct stamp *t)
{
	return take_two(s, &t->hour) && SPAN_TAKE(s, ":") &&
	    take_two(s, &t->minute) && SPAN_TAKE(s, ":") &&
	    take_two(s, &t->second);
}

static bool
is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool
stamp_exists(const struct stamp *t)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	int last;

	if (t->year < YEAR_MIN || t->year > YEAR_MAX || t->month < 1 ||
	    t->month > 12)
		return false;
	last = days[t->month - 1] + (t->month == 2 && is_leap(t->year));
	/* 60 is a leap second */
	return t->day >= 1 && t->day <= last && t->hour <= 23 &&
	    t->minute <= 59 && t->second <= 60;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar. */
static int64_t
days_since_1970(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = y / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year =
	    (INT64_C(153) * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 +
	    of_year - 719468;
}

static int64_t
stamp_utc(const struct stamp *t)
{
	return days_since_1970(t->year, t->month, t->day) * DAY_S +
	    INT64_C(3600) * t->hour + INT64_C(60) * t->minute + t->second;
}

/* mktime(3) costs a microsecond and a lock, so it is asked once a minute of
 * log. No zone has changed its offset inside a minute since 1972. */
static bool
stamp_local(const struct stamp *t, struct prefix_clock *clock, int64_t *at_r)
{
	if (clock->zone.fixed) {
		*at_r = stamp_utc(t) - clock->zone.east_s;
		return true;
	}

	int64_t key = ((((int64_t)t->year * 12 + t->month) * 32 + t->day) * 24 +
			  t->hour) *
		60 +
	    t->minute;

	if (!clock->minute_known || clock->minute_key != key) {
		struct tm tm = {
			.tm_year = t->year - 1900,
			.tm_mon = t->month - 1,
			.tm_mday = t->day,
			.tm_hour = t->hour,
			.tm_min = t->minute,
			.tm_wday = -1,
			.tm_isdst = -1,
		};
		time_t at = mktime(&tm);

		if (at == (time_t)-1 && tm.tm_wday == -1)
			return false;
		clock->minute_known = true;
		clock->minute_key = key;
		clock->minute_at = (int64_t)at;
	}
	*at_r = clock->minute_at + t->second;
	return true;
}

/* The latest year in which the stamp is not later than now + 1 day. */
static bool
choose_year(struct stamp *t, int64_t now, struct prefix_clock *clock)
{
	if (!clock->limit_known || clock->limit_now != now) {
		const struct zone *zone = &clock->zone;
		time_t limit = (time_t)(now + DAY_S + zone->east_s);

		if ((zone->fixed ? gmtime_r : localtime_r)(
			&limit, &clock->limit) == NULL)
			return false;
		clock->limit_known = true;
		clock->limit_now = now;
	}

	const struct tm *l = &clock->limit;
	const int mine[] = { t->month, t->day, t->hour, t->minute, t->second };
	const int last[] = { l->tm_mon + 1, l->tm_mday, l->tm_hour, l->tm_min,
		l->tm_sec };

	t->year = l->tm_year + 1900;
	for (int i = 0; i < 5; i++) {
		if (mine[i] == last[i])
			continue;
		if (mine[i] > last[i])
			t->year--;
		break;
	}
	return true;
}

/* "Z", "+01:00" or "+0100"; nothing leaves *has_zone_r false. */
static bool
take_zone(struct span *s, bool *has_zone_r, int *offset_s_r)
{
	int hours, minutes, sign;

	*has_zone_r = !span_empty(*s);
	*offset_s_r = 0;
	if (span_empty(*s) || SPAN_TAKE(s, "Z"))
		return true;
	if (SPAN_TAKE(s, "+"))
		sign = 1;
	else if (SPAN_TAKE(s, "-"))
		sign = -1;
	else
		return false;
	if (!take_two(s, &hours))
		return false;
	(void)SPAN_TAKE(s, ":");
	if (!take_two(s, &minutes) || hours > 14 || minutes > 59)
		return false;
	*offset_s_r = sign * (hours * 3600 + minutes * 60);
	return true;
}

/* The date and time of an ISO stamp. */
static bool
take_date(struct span *s, struct stamp *t)
{
	if (!take_year(s, &t->year) || !SPAN_TAKE(s, "-") ||
	    !take_two(s, &t->month) || !SPAN_TAKE(s, "-") ||
	    !take_two(s, &t->day) || span_empty(*s))
		return false;
	s->p++; /* 'T' or space: prefix_split() has looked */
	return take_clock(s, t) && stamp_exists(t);
}

static bool
convert_iso(struct span s, struct prefix_clock *clock, int64_t *at_r)
{
	struct stamp t = { .year = 0 };
	bool has_zone;
	int offset_s;

	if (!take_date(&s, &t))
		return false;
	if (SPAN_TAKE(&s, ".") || SPAN_TAKE(&s, ",")) {
		while (s.p < s.end && char_digit(*s.p))
			s.p++;
	}
	if (!take_zone(&s, &has_zone, &offset_s) || !span_empty(s))
		return false;
	if (!has_zone)
		return stamp_local(&t, clock, at_r);
	*at_r = stamp_utc(&t) - offset_s;
	return true;
}

/* Zones by names that mean one thing only, which outside Europe few do: "CST"
 * and "IST" are three zones each, "EST" two. */
static bool
zone_by_name(struct span s, int *hours_r)
{
	static const struct {
		const char *name;
		int hours;
	} zones[] = { { "UTC", 0 }, { "GMT", 0 }, { "WET", 0 }, { "WEST", 1 },
		{ "CET", 1 }, { "CEST", 2 }, { "EET", 2 }, { "EEST", 3 },
		{ "MSK", 3 } };

	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		if (!span_equals(s, zones[i].name, strlen(zones[i].name)))
			continue;
		*hours_r = zones[i].hours;
		return true;
	}
	return false;
}

/* The zone by its name: UTC, one that is ours, or one that is nobody else's.
 * "+03": of a zone without one. Which of the two names of our zone holds, its
 * date tells, too. */
static bool
convert_full(struct span s, struct prefix_clock *clock, int64_t *at_r)
{
	struct stamp t = { .year = 0 };
	int hours;

	if (!take_date(&s, &t) || !SPAN_TAKE(&s, " "))
		return false;
	if (SPAN_EQUALS(s, "UTC") || SPAN_EQUALS(s, "GMT")) {
		*at_r = stamp_utc(&t);
		return true;
	}
	for (int i = 0; i < 2; i++)
		if (span_equals(s, tzname[i], strlen(tzname[i])))
			return stamp_local(&t, clock, at_r);
	if (zone_by_name(s, &hours)) {
		*at_r = stamp_utc(&t) - hours * INT64_C(3600);
		return true;
	}
	bool east = SPAN_TAKE(&s, "+");

	if ((!east && !SPAN_TAKE(&s, "-")) || !take_two(&s, &hours) ||
	    !span_empty(s) || hours > 14)
		return false;
	*at_r = stamp_utc(&t) - (east ? hours : -hours) * INT64_C(3600);
	return true;
}

/* TAI64N label: 2^62 + 10 + Unix seconds, as tai64n(8) writes it. */
static bool
convert_tai64n(struct span s, int64_t *at_r)
{
	const uint64_t epoch = (UINT64_C(1) << 62) + 10;
	uint64_t label = 0;

	for (int i = 0; i < 16; i++) {
		char c = s.p[i];
		unsigned digit = char_digit(c) ? (unsigned)(c - '0')
					       : (unsigned)(c - 'a') + 10;

		label = label << 4 | digit;
	}
	if (label < epoch || label - epoch > (uint64_t)INT64_MAX / 2)
		return false;
	*at_r = (int64_t)(label - epoch);
	return true;
}

static bool
convert_usec(struct span s, int64_t *at_r)
{
	uint64_t usec;

	if (!span_number(&s, &usec) || !span_empty(s) ||
	    usec > (uint64_t)INT64_MAX)
		return false;
	*at_r = (int64_t)(usec / 1000000);
	return true;
}

static bool
convert_unix(struct span s, int64_t *at_r)
{
	uint64_t at;

	if (!span_number(&s, &at) || !span_empty(s))
		return false;
	*at_r = (int64_t)at;
	return true;
}

static bool
convert_letters(const struct prefix *prefix, int64_t now,
    struct prefix_clock *clock, int64_t *at_r)
{
	struct span s = prefix->time;
	struct stamp t = { .year = 0 };

	if (prefix->stamp == STAMP_CTIME)
		s.p += 4; /* the week day tells nothing new */
	if (prefix->stamp == STAMP_YEAR_BSD &&
	    (!take_year(&s, &t.year) || !SPAN_TAKE(&s, " ")))
		return false;
	if (!take_month_name(&s, &t.month) || !SPAN_TAKE(&s, " ") ||
	    !take_padded_day(&s, &t.day) || !SPAN_TAKE(&s, " "))
		return false;
	if (prefix->stamp == STAMP_BSD_YEAR &&
	    (!take_year(&s, &t.year) || !SPAN_TAKE(&s, " ")))
		return false;
	if (!take_clock(&s, &t))
		return false;
	if (prefix->stamp == STAMP_CTIME &&
	    (!SPAN_TAKE(&s, " ") || !take_year(&s, &t.year)))
		return false;
	/* split accepted a fraction of digits only */
	if (prefix->stamp != STAMP_BSD && !span_empty(s))
		return false;
	if (prefix->stamp == STAMP_BSD && !choose_year(&t, now, clock))
		return false;
	return stamp_exists(&t) && stamp_local(&t, clock, at_r);
}

static bool
convert_bsd(const struct prefix *prefix, int64_t now,
    struct prefix_clock *clock, int64_t *at_r)
{
	struct span s = prefix->time;
	size_t len = span_len(s);

	if (len == clock->bsd_len && now == clock->bsd_now &&
	    memcmp(s.p, clock->bsd, len) == 0) {
		*at_r = clock->bsd_at;
		return true;
	}
	if (!convert_letters(prefix, now, clock, at_r))
		return false;
	if (len <= sizeof(clock->bsd)) {
		clock->bsd_len = len;
		memcpy(clock->bsd, s.p, len);
		clock->bsd_now = now;
		clock->bsd_at = *at_r;
	}
	return true;
}

static bool
convert_slash(struct span s, struct prefix_clock *clock, int64_t *at_r)
{
	struct stamp t = { .year = 0 };

	return take_year(&s, &t.year) && SPAN_TAKE(&s, "/") &&
	    take_two(&s, &t.month) && SPAN_TAKE(&s, "/") &&
	    take_two(&s, &t.day) && SPAN_TAKE(&s, " ") && take_clock(&s, &t) &&
	    span_empty(s) && stamp_exists(&t) && stamp_local(&t, clock, at_r);
}

bool
prefix_time(const struct prefix *prefix, int64_t now,
    struct prefix_clock *clock, int64_t *at_r)
{
	switch (prefix->stamp) {
	case STAMP_NONE:
		return false;
	case STAMP_BSD:
		return convert_bsd(prefix, now, clock, at_r);
	case STAMP_BSD_YEAR:
	case STAMP_YEAR_BSD:
	case STAMP_CTIME:
		return convert_letters(prefix, now, clock, at_r);
	case STAMP_ISO:
		return convert_iso(prefix->time, clock, at_r);
	case STAMP_SLASH:
		return convert_slash(prefix->time, clock, at_r);
	case STAMP_TAI64N:
		return convert_tai64n(prefix->time, at_r);
	case STAMP_USEC:
		return convert_usec(prefix->time, at_r);
	case STAMP_FULL:
		return convert_full(prefix->time, clock, at_r);
	case STAMP_UNIX:
		return convert_unix(prefix->time, at_r);
	}
	return false;
}

bool
prefix_zone_assumed(const struct prefix *prefix)
{
	struct span s = prefix->time;

	switch (prefix->stamp) {
	case STAMP_BSD:
	case STAMP_BSD_YEAR:
	case STAMP_YEAR_BSD:
	case STAMP_CTIME:
	case STAMP_SLASH:
		return true;
	case STAMP_ISO:
		s.p += 11; /* the date has a '-', too */
		return !span_has_char(s, 'Z') && !span_has_char(s, '+') &&
		    !span_has_char(s, '-');
	case STAMP_NONE:
	case STAMP_TAI64N:
	case STAMP_USEC:
	case STAMP_FULL:
	case STAMP_UNIX:
		break;
	}
	return false;
}
