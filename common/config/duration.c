/* SPDX-License-Identifier: ISC */
#include "common/config/duration.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
duration_parse(const char *text, int64_t *seconds_r)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
		{ 'w', 604800 }, { '\0', 1 } };
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 10)
		return false;
	int64_t n = strtoll(text, NULL, 10);

	if (text[digits] != '\0' && text[digits + 1] != '\0')
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].unit != text[digits])
			continue;
		if (n > DURATION_MAX_S / units[i].s)
			return false;
		*seconds_r = n * units[i].s;
		return true;
	}
	return false;
}

const char *
duration_format(int64_t seconds, char *buf)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
	size_t i = 0;

	assert(seconds >= 0);
	while (seconds % units[i].s != 0)
		i++;
	(void)snprintf(buf, DURATION_TEXT_MAX, "%" PRId64 "%c",
	    seconds / units[i].s, units[i].unit);
	return buf;
}

bool
rate_parse(const char *text, struct limit_rate *rate)
{
	size_t digits = strspn(text, "0123456789");
	int64_t window_s;

	if (strcmp(text, "off") == 0) {
		rate->max = 0;
		return true;
	}
	if (digits == 0 || digits > 10 || text[digits] != '/' ||
	    !duration_parse(text + digits + 1, &window_s))
		return false;
	int64_t max = strtoll(text, NULL, 10);

	if (max == 0 || max > RATE_MAX)
		return false;
	*rate = (struct limit_rate){ max, window_s };
	return true;
}

const char *
rate_format(const struct limit_rate *rate, char *buf)
{
	char window[DURATION_TEXT_MAX];

	assert(rate->max >= 0 && rate->max <= RATE_MAX);
	if (rate->max == 0)
		(void)snprintf(buf, RATE_TEXT_MAX, "off");
	else
		(void)snprintf(buf, RATE_TEXT_MAX, "%" PRId64 "/%s", rate->max,
		    duration_format(rate->window_s, window));
	return buf;
}

static const char size_units[] = "KMGT";

bool
size_parse(const char *text, int64_t *bytes_r)
{
	size_t digits = strspn(text, "0123456789");
	const char *unit =
	    text[digits] == '\0' ? NULL : strchr(size_units, text[digits]);

	if (digits == 0 || digits > 6 || unit == NULL ||
	    text[digits + 1] != '\0')
		return false;
	*bytes_r = (int64_t)strtoll(text, NULL, 10)
	    << 10 * (unit - size_units + 1);
	return true;
}

const char *
size_format(int64_t bytes, char *buf)
{
	size_t unit = 0;

	assert(bytes >= 0 && bytes % 1024 == 0);
	for (bytes >>= 10; bytes % 1024 == 0 && bytes != 0 && unit < 3;
	     bytes >>= 10)
		unit++;
	(void)snprintf(
	    buf, SIZE_TEXT_MAX, "%" PRId64 "%c", bytes, size_units[unit]);
	return buf;
}
