/* SPDX-License-Identifier: ISC */
/* Fuzz target of the time stamps: any bytes in the place of one. What is
 * converted is compared with what libc makes of the same text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/grammar/prefix.h"

enum { NOW = 1772550000, STAMP_LEN_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unix seconds by libc, for the forms of which it knows the whole. */
static bool
by_libc(const struct prefix *p, int64_t *at_r)
{
	char text[STAMP_LEN_MAX + 32];
	struct tm tm = { .tm_isdst = -1 };
	size_t len = span_len(p->time);
	const char *rest;

	if (len > STAMP_LEN_MAX || memchr(p->time.p, '\0', len) != NULL)
		return false;
	memcpy(text, p->time.p, len);
	text[len] = '\0';
	switch (p->stamp) {
	case STAMP_BSD_YEAR:
		rest = strptime(text, "%b %d %Y %H:%M:%S", &tm);
		break;
	case STAMP_YEAR_BSD:
		rest = strptime(text, "%Y %b %d %H:%M:%S", &tm);
		break;
	case STAMP_CTIME:
		rest = strptime(text + 4, "%b %d %H:%M:%S %Y", &tm);
		break;
	case STAMP_SLASH:
		rest = strptime(text, "%Y/%m/%d %H:%M:%S", &tm);
		break;
	case STAMP_ISO:
		text[10] = ' ';
		rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
		if (rest == NULL || rest[0] != 'Z' || rest[1] != '\0')
			return false;
		*at_r = (int64_t)timegm(&tm);
		return true;
	default:
		return false;
	}
	if (rest == NULL || *rest != '\0')
		return false;
	*at_r = (int64_t)mktime(&tm);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char tail[] = " mail x: m";
	static char scratch[PREFIX_SCRATCH];
	char line[STAMP_LEN_MAX + sizeof(tail)];
	struct prefix_clock clock = { .limit_known = false };
	struct prefix p;
	int64_t got, want;

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	if (size > STAMP_LEN_MAX)
		size = STAMP_LEN_MAX;
	if (size > 0)
		memcpy(line, data, size);
	memcpy(line + size, tail, sizeof(tail) - 1);
	if (prefix_split(line, size + sizeof(tail) - 1, false, &p, scratch) !=
		PREFIX_OK ||
	    !prefix_time(&p, NOW, &clock, &got))
		return 0;
	if (p.stamp == STAMP_BSD &&
	    (got > NOW + 86400 + 3600 || got < NOW - 4 * 366 * 86400))
		abort();
	if (by_libc(&p, &want) && got != want)
		abort();
	return 0;
}
