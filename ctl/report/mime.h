/* SPDX-License-Identifier: ISC */
/* mime - a message of a text and a page (RFC 5322, RFC 2045 to 2047): lines of
 * ASCII that end in LF, as sendmail(1) takes them. Pure; any thread. */
#ifndef POPGATE_REPORT_MIME_H
#define POPGATE_REPORT_MIME_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct mime_mail {
	const char *to, *subject; /* UTF-8; control characters are left out */
	const char *host; /* for the Message-ID */
	int64_t at; /* Unix seconds, for Date */
	uint64_t id; /* another for each mail of that second */
	const char *text, *html; /* UTF-8, of any length */
};

void mime_write(const struct mime_mail *mail, FILE *to);

/* len bytes in lines of 76 characters (RFC 2045 section 6.8). */
void mime_base64(const char *data, size_t len, FILE *to);

/* A header's text: as it is when it is plain ASCII, else as encoded words of
 * RFC 2047, folded. column: characters before it on its line. */
void mime_header_text(const char *text, size_t column, FILE *to);

#endif
