/* SPDX-License-Identifier: ISC */
/* postfix_talk - many recipients, asked of a private copy in one connection. */
#ifndef POPGATE_POSTFIX_TALK_H
#define POPGATE_POSTFIX_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/smtp/smtp_reply.h"

struct err;
struct stage;

/* A step that any client can take before MAIL. */
enum postfix_trick {
	TRICK_NONE,
	TRICK_TLS, /* STARTTLS with a certificate that it made itself */
	TRICK_ANONYMOUS, /* AUTH ANONYMOUS */
	TRICK_XCLIENT, /* XCLIENT ADDR= */
	TRICK_PROXY, /* a PROXY header */
	TRICK_LOGIN /* AUTH PLAIN with the right password: no stranger's */
};

struct postfix_client {
	const char *service; /* "smtp", as in master.cf */
	const char *from; /* its address */
	const char *name; /* what DNS calls it, as stage_connect() has it; NULL:
			   * nothing of interest */
	const char *helo; /* NULL: it says none */
	enum postfix_trick trick;
	const char *as; /* the address that XCLIENT and PROXY say; NULL:
			 * 127.0.0.1 */
};

struct postfix_mail {
	const char *sender; /* what stands between the brackets */
	const char *recipient; /* all behind "TO:" */
	bool message; /* ask behind DATA, too */
	bool accepted; /* the recipient, or the message */
	int code; /* of the last reply; 0: there was none */
};

/* Ask for all v. 0, or -1 with err when the client couldn't begin: no
 * connection, or the trick isn't possible here (ERR_INVALID). */
int postfix_talk(struct stage *stage, const struct postfix_client *client,
    struct postfix_mail *v, size_t n, struct err *err);

/* The dialogue in words, for people: "EHLO x, MAIL FROM:<a>, RCPT TO:<b>".
 * To be freed; NULL when memory is short. */
char *postfix_talk_words(
    const struct postfix_client *client, const struct postfix_mail *mail);

#endif
