/* SPDX-License-Identifier: ISC */
#include "common/base/zone.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	QUARTER_S = 15 * 60,
	SLACK_S = 90, /* a line may wait so long to be written and read */
	EAST_MIN_S = -12 * 3600, /* the zones in use */
	EAST_MAX_S = 14 * 3600,
};

static bool
two_digits(const char **text, int *value_r)
{
	const char *p = *text;

	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*value_r = (p[0] - '0') * 10 + (p[1] - '0');
	*text += 2;
	return true;
}

bool
zone_parse(const char *text, struct zone *zone_r)
{
	int hours, minutes, east_s;
	bool west = *text == '-';

	*zone_r = (struct zone){ .fixed = true };
	if (strcmp(text, "UTC") == 0)
		return true;
	if (*text != '+' && *text != '-')
		return false;
	text++;
	if (!two_digits(&text, &hours))
		return false;
	text += *text == ':';
	if (!two_digits(&text, &minutes) || *text != '\0' || minutes > 59)
		return false;
	east_s = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
	zone_r->east_s = east_s;
	return east_s >= EAST_MIN_S && east_s <= EAST_MAX_S;
}

const char *
zone_format(const struct zone *zone, char buf[ZONE_TEXT_MAX])
{
	unsigned minutes = (unsigned)abs(zone->east_s) / 60;

	assert(zone->fixed && zone->east_s >= EAST_MIN_S &&
	    zone->east_s <= EAST_MAX_S);
	if (zone->east_s == 0)
		(void)snprintf(buf, ZONE_TEXT_MAX, "UTC");
	else
		(void)snprintf(buf, ZONE_TEXT_MAX, "%c%02u:%02u",
		    zone->east_s < 0 ? '-' : '+', minutes / 60 % 100,
		    minutes % 60);
	return buf;
}

bool
zone_guess(const struct zone *zone, int64_t stamped_at, int64_t written_at,
    struct zone *guess_r)
{
	int64_t behind_s = written_at - stamped_at, east_s = zone->east_s;
	time_t at = (time_t)stamped_at;
	struct tm tm;

	if (!zone->fixed) {
		if (localtime_r(&at, &tm) == NULL)
			return false;
		east_s = tm.tm_gmtoff;
	}
	/* a line is read after it was written: behind_s is too large, if
	 * anything, by SLACK_S */
	int64_t over_s = (behind_s % QUARTER_S + QUARTER_S) % QUARTER_S;
	int64_t shift_s = behind_s - over_s;

	if (over_s == QUARTER_S - 1) /* both times lost their fractions */
		shift_s += QUARTER_S;
	else if (over_s > SLACK_S)
		return false;
	east_s -= shift_s;
	if (shift_s == 0 || east_s < EAST_MIN_S || east_s > EAST_MAX_S)
		return false;
	*guess_r = (struct zone){ .fixed = true, .east_s = (int)east_s };
	return true;
}
