/* SPDX-License-Identifier: ISC */
/* words - what the renderers of a report say alike. */
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
