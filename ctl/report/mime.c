/* SPDX-License-Identifier: ISC */
#include "ctl/report/mime.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"

enum {
	LINE_BYTES = 57, /* 76 characters of base64: RFC 2045 section 6.8 */
	/* An encoded word has 75 characters at most (RFC 2047 section 2), 12
	 * of them "=?UTF-8?B?" and "?=": 63 of base64 are whole groups of 4 up
	 * to 60, of 45 bytes. */
	WORD_BYTES = 45,
	HEADER_COLUMNS = 76
};

static void
base64_group(const unsigned char *p, size_t n, FILE *to)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = (uint32_t)p[0] << 16 |
	    (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);

	(void)fputc(digits[bits >> 18 & 63], to);
	(void)fputc(digits[bits >> 12 & 63], to);
	(void)fputc(n > 1 ? digits[bits >> 6 & 63] : '=', to);
	(void)fputc(n > 2 ? digits[bits & 63] : '=', to);
}

static void
base64_line(const char *data, size_t len, FILE *to)
{
	for (size_t i = 0; i < len; i += 3)
		base64_group((const unsigned char *)data + i,
		    len - i < 3 ? len - i : 3, to);
}

void
mime_base64(const char *data, size_t len, FILE *to)
{
	for (size_t i = 0; i < len; i += LINE_BYTES) {
		base64_line(
		    data + i, len - i < LINE_BYTES ? len - i : LINE_BYTES, to);
		(void)fputc('\n', to);
	}
}

static bool
is_plain(const char *text)
{
	if (strstr(text, "=?") != NULL)
		return false;
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* Put into word as many whole characters of text as one encoded word takes;
 * what is no character or would do harm is left out. */
static size_t
next_word(const char **text, char word[WORD_BYTES])
{
	const unsigned char *p = (const unsigned char *)*text;
	size_t len = 0;

	while (*p != '\0') {
		uint32_t cp = 0;
		size_t n = utf8_length(p, &cp);

		if (n == 0 || utf8_harmful(cp)) {
			p += n == 0 ? 1 : n;
			continue;
		}
		if (len + n > WORD_BYTES)
			break;
		memcpy(word + len, p, n);
		len += n;
		p += n;
	}
	*text = (const char *)p;
	return len;
}

void
mime_header_text(const char *text, size_t column, FILE *to)
{
	char word[WORD_BYTES];
	bool first = true;

	if (is_plain(text) && column + strlen(text) <= HEADER_COLUMNS) {
		(void)fputs(text, to);
		return;
	}
	while (*text != '\0') {
		size_t len = next_word(&text, word);

		if (len == 0)
			continue;
		(void)fputs(first ? "=?UTF-8?B?" : "\n =?UTF-8?B?", to);
		base64_line(word, len, to);
		(void)fputs("?=", to);
		first = false;
	}
}

static void
date(int64_t at, FILE *to)
{
	char text[CLOCK_TEXT_MAX];

	(void)fprintf(to, "Date: %s\n", clock_mail_date(at, text));
}

static void
part(const char *boundary, const char *type, const char *body, FILE *to)
{
	(void)fprintf(to,
	    "--%s\nContent-Type: %s; charset=utf-8\n"
	    "Content-Transfer-Encoding: base64\n\n",
	    boundary, type);
	mime_base64(body, strlen(body), to);
}

void
mime_write(const struct mime_mail *mail, FILE *to)
{
	char boundary[80];

	/* '=' and '_' are not in base64 or at a line's begin with "--" */
	(void)snprintf(boundary, sizeof(boundary),
	    "=_popgate_%" PRIx64 "_%" PRIx64, (uint64_t)mail->at, mail->id);
	(void)fprintf(to, "To: %s\nSubject: ", mail->to);
	mime_header_text(mail->subject, strlen("Subject: "), to);
	(void)fputc('\n', to);
	date(mail->at, to);
	(void)fprintf(to,
	    "Message-ID: <popgate.%" PRIx64 ".%" PRIx64 "@%s>\n"
	    "Auto-Submitted: auto-generated\nMIME-Version: 1.0\n"
	    "Content-Type: multipart/alternative;\n boundary=\"%s\"\n\n"
	    "This mail has a text and a page in MIME.\n\n",
	    (uint64_t)mail->at, mail->id, mail->host, boundary);
	part(boundary, "text/plain", mail->text, to);
	part(boundary, "text/html", mail->html, to);
	(void)fprintf(to, "--%s--\n", boundary);
}
