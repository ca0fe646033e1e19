/* SPDX-License-Identifier: ISC */
/* words - what the renderers of a report say alike. */
#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "common/records/decision.h"
#include "ctl/report/render.h"

const char *
report_reason_words(const char *reason)
{
	enum reason r = reason_find(reason);

	return r == REASONS ? reason : reason_words(r);
}

const char *
report_clock(int hour)
{
	static const char *const all[REPORT_CLOCK] = { "00:00", "01:00",
		"02:00", "03:00", "04:00", "05:00", "06:00", "07:00", "08:00",
		"09:00", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00",
		"16:00", "17:00", "18:00", "19:00", "20:00", "21:00", "22:00",
		"23:00" };

	assert(hour >= 0 && hour < REPORT_CLOCK);
	return all[hour];
}

enum report_level
report_worst(const struct report *rep)
{
	enum report_level worst = REPORT_GOOD;

	for (int i = 0; i < rep->state.n; i++)
		if (rep->state.v[i].level > worst)
			worst = rep->state.v[i].level;
	for (int i = 0; i < rep->doctor.n; i++)
		if (rep->doctor.v[i].level > worst)
			worst = rep->doctor.v[i].level;
	return worst;
}

static void
minute(int64_t at, char buf[20])
{
	time_t t = (time_t)at;
	struct tm tm;

	(void)localtime_r(&t, &tm);
	if (strftime(buf, 20, "%Y-%m-%d %H:%M", &tm) == 0)
		buf[0] = '\0';
}

const char *
report_period(const struct report *rep, char *buf)
{
	char since[20], until[20];

	minute(rep->since, since);
	minute(rep->until, until);
	(void)snprintf(
	    buf, REPORT_PERIOD_MAX, "%s to %s, %s", since, until, rep->zone);
	return buf;
}
