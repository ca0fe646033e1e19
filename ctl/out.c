/* SPDX-License-Identifier: ISC */
#include "ctl/out.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/utf8.h"
#include "common/db/store.h"
#include "ctl/times.h"

void
out_of_memory(void)
{
	(void)fputs("popgatectl: out of memory\n", stderr);
	exit(EX_OSERR);
}

const char *
out_escape(const char *text, char *buf, size_t size)
{
	char one[UTF8_ESCAPE_MAX];
	size_t at = 0;

	assert(size > 0);
	if (text == NULL)
		text = "-";
	while (*text != '\0') {
		size_t n = utf8_escape(&text, one);

		if (at + n >= size)
			break;
		memcpy(buf + at, one, n);
		at += n;
	}
	buf[at] = '\0';
	return buf;
}

void
out_text(const char *text)
{
	char one[UTF8_ESCAPE_MAX];

	while (*text != '\0') {
		size_t n = utf8_escape(&text, one);

		(void)fwrite(one, 1, n, stdout);
	}
}

void
json_time(struct json *j, const char *key, int64_t at)
{
	char buf[TIME_TEXT_MAX];

	json_text(
	    j, key, at == 0 || at >= STORE_FOREVER ? NULL : time_iso(at, buf));
}

void
csv_cell(const char *text, bool first)
{
	if (!first)
		(void)putchar(',');
	if (text == NULL)
		return;
	bool formula = *text != '\0' && strchr("=+-@\t\r", *text) != NULL;

	if (!formula && strpbrk(text, "\",\r\n") == NULL) {
		out_text(text);
		return;
	}
	(void)putchar('"');
	if (formula)
		(void)putchar('\'');
	for (; *text != '\0';) {
		char one[UTF8_ESCAPE_MAX];

		if (*text == '"')
			(void)putchar('"');
		size_t n = utf8_escape(&text, one);

		(void)fwrite(one, 1, n, stdout);
	}
	(void)putchar('"');
}
