/* SPDX-License-Identifier: ISC */
/* smtp_reply - an SMTP server's replies, out of a stream of bytes that may be
 * anything at all. Pure; memory is bounded; one thread at a time. */
#ifndef POPGATE_SMTP_REPLY_H
#define POPGATE_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

enum {
	SMTP_TEXT_MAX = 512, /* what is kept of a reply's text */
	SMTP_STATUS_MAX = 12, /* "5.7.1": RFC 3463 section 2 */
	SMTP_LINE_MAX = 4096, /* RFC 5321 section 4.5.3.1.5 says 512 */
	SMTP_LINES_MAX = 128
};

/* A whole reply. text holds what the server sent but for NUL, which is '?':
 * escape it before it is shown. Lines are joined by a space, without the
 * status that each of them repeats. */
struct smtp_reply {
	int code; /* 200..599 */
	char status[SMTP_STATUS_MAX]; /* enhanced code, or "" */
	char text[SMTP_TEXT_MAX];
	unsigned lines;
};

struct smtp_parser {
	struct smtp_reply reply;
	char line[SMTP_LINE_MAX];
	size_t len;
	size_t text_len;
};

enum smtp_result {
	SMTP_MORE, /* the reply isn't whole yet */
	SMTP_REPLY, /* parser->reply is one */
	SMTP_BAD /* no reply of RFC 5321 section 4.2 */
};

/* Before each reply. What is left of the stream is the caller's. */
void smtp_parser_begin(struct smtp_parser *p);

/* Take bytes up to the end of one reply; *used_r says how many. After
 * SMTP_BAD the stream can't be understood any more. */
enum smtp_result smtp_parser_feed(
    struct smtp_parser *p, const char *data, size_t len, size_t *used_r);

/* A reply's meaning for a relay, given that it answers RCPT. */
enum smtp_verdict {
	SMTP_ACCEPTED, /* 2xx */
	SMTP_REFUSED, /* 5xx */
	SMTP_REFUSED_SENDER, /* 5xx, but because of the sender's domain */
	SMTP_REFUSED_DOMAIN, /* 5xx, but because the recipient's domain can't
			      * get mail (no DNS, null MX: RFC 7505) */
	SMTP_PUT_OFF, /* 4xx */
	SMTP_ODD /* anything else */
};
enum smtp_verdict smtp_verdict(const struct smtp_reply *reply);

/* Does a reply of this code decide about what was asked? A temporary failure of
 * the server's own (421, 451, 452) refuses nobody, nor does no reply
 * (0); 454 is what Postfix's defer_unauth_destination says. */
bool smtp_code_decides(int code);

/* 5xx because there is no such mailbox: the domain is the server's own. */
bool smtp_user_unknown(const struct smtp_reply *reply);

#endif
