/* SPDX-License-Identifier: ISC */
#include "ctl/report/markup.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/base/utf8.h"
#include "ctl/times.h"

static void
reference(FILE *to, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		switch (text[i]) {
		case '&':
			(void)fputs("&amp;", to);
			break;
		case '<':
			(void)fputs("&lt;", to);
			break;
		case '>':
			(void)fputs("&gt;", to);
			break;
		case '"':
			(void)fputs("&quot;", to);
			break;
		case '\'':
			(void)fputs("&#39;", to);
			break;
		default:
			(void)fputc(text[i], to);
		}
}

static void
raw(FILE *to, const char *text, size_t n)
{
	(void)fwrite(text, 1, n, to);
}

/* How many characters a piece of utf8_escape() is. */
static size_t
width(const char *piece, size_t n)
{
	return (unsigned char)*piece < 0x80 ? n : 1;
}

static size_t
escaped(FILE *to, const char *text, size_t max,
    void (*write)(FILE *to, const char *text, size_t n))
{
	char one[UTF8_ESCAPE_MAX];
	size_t written = 0;

	while (*text != '\0') {
		size_t n = utf8_escape(&text, one), w = width(one, n);

		/* room for the "…", unless this is the last one */
		if (max > 0 && written + w > max - (*text != '\0')) {
			(void)fputs("…", to);
			return written + 1;
		}
		write(to, one, n);
		written += w;
	}
	return written;
}

void
markup_text(FILE *to, const char *text, size_t max)
{
	(void)escaped(to, text, max, reference);
}

size_t
plain_text(FILE *to, const char *text, size_t max)
{
	return escaped(to, text, max, raw);
}

void
markup_name(FILE *to, const char *name)
{
	(void)fputs("<bdi>", to);
	markup_text(to, *name == '\0' ? "<>" : name, MARKUP_NAME);
	(void)fputs("</bdi>", to);
}

const char *
number_text(int64_t n, char *buf)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRId64, n), at = 0;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
			buf[at++] = ',';
		buf[at++] = digits[i];
	}
	buf[at] = '\0';
	return buf;
}

void
markup_number(FILE *to, int64_t n)
{
	char buf[32];

	if (n < 0)
		(void)fputs("–", to);
	else
		(void)fprintf(to, "<data value=\"%" PRId64 "\">%s</data>", n,
		    number_text(n, buf));
}

void
markup_time(FILE *to, int64_t at)
{
	char iso[TIME_TEXT_MAX], minute[20];
	time_t t = (time_t)at;
	struct tm tm;

	if (at <= 0) {
		(void)fputs("–", to);
		return;
	}
	(void)localtime_r(&t, &tm);
	if (strftime(minute, sizeof(minute), "%Y-%m-%d %H:%M", &tm) == 0)
		(void)snprintf(minute, sizeof(minute), "for ever");
	(void)fprintf(
	    to, "<time datetime=\"%s\">%s</time>", time_iso(at, iso), minute);
}
