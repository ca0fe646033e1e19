/* SPDX-License-Identifier: ISC */
/* smtp_talk - an SMTP session that can ask but never send a message: an
 * argument can't hold a second command, DATA is said to private copies alone,
 * and the message behind it is one that no mail server passes on. Everything
 * has a deadline; the server may be hostile. */
#ifndef POPGATE_SMTP_TALK_H
#define POPGATE_SMTP_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/addr.h"
#include "ctl/smtp/smtp_reply.h"

struct smtp_talk;

enum smtp_verb {
	SMTP_EHLO,
	SMTP_HELO, /* argument: a name */
	SMTP_MAIL, /* argument: what stands in the brackets */
	SMTP_RCPT, /* argument: all behind "TO:" */
	SMTP_XCLIENT, /* argument: attributes; where the server offers it */
	SMTP_AUTH, /* argument: a mechanism and its initial response */
	SMTP_ANSWER, /* argument: base64; only after AUTH's 334 */
	SMTP_STARTTLS, /* then smtp_talk_tls(); no argument */
	SMTP_RSET,
	SMTP_QUIT /* no argument */
};

enum talk_result {
	TALK_REPLY,
	TALK_NO_CONNECTION, /* errno says why */
	TALK_TIMEOUT,
	TALK_CLOSED,
	TALK_NONSENSE, /* no reply, or one without end */
	TALK_NO_TLS, /* the TLS handshake failed */
	TALK_BAD_ARGUMENT /* holds CR or LF, or is too long: not said */
};
const char *talk_words(enum talk_result result);

/* Connect a stream socket of to's family, which becomes non-blocking. 0, or -1
 * with errno. */
int smtp_connect(int fd, const struct addr *to, unsigned port, int timeout_ms);

/* Connect fd and take the greeting. *t_r is to be closed in any case.
 *   fd  a stream socket of to's family, which may be bound; the session's from
 *       now on; -1 with errno: there is none
 *   timeout_ms  for this, and for each reply as a whole */
enum talk_result smtp_talk_open(int fd, const struct addr *to, unsigned port,
    int timeout_ms, struct smtp_talk **t_r, struct smtp_reply *reply);

/* The same on a socket that is connected.
 *   tls  the server speaks TLS from the first byte (RFC 8314) */
enum talk_result smtp_talk_begin(int fd, bool tls, int timeout_ms,
    struct smtp_talk **t_r, struct smtp_reply *reply);

/* Begin TLS, after the server has said yes to SMTP_STARTTLS. Any certificate
 * is good: the client asks what the server does, and tells it no secret that
 * is worth one. TALK_REPLY is success. */
enum talk_result smtp_talk_tls(struct smtp_talk *t);

/* The same, with a certificate of one's own making for a server that asks for
 * one. */
enum talk_result smtp_talk_tls_certified(struct smtp_talk *t);

/* Say one command and wait for the reply. After anything but TALK_REPLY and
 * TALK_BAD_ARGUMENT there is nothing to be done but to close. */
enum talk_result smtp_talk_say(struct smtp_talk *t, enum smtp_verb verb,
    const char *argument, size_t len, struct smtp_reply *reply);

/* This talk is with a private copy, in a network namespace of its own: it may
 * hear a message.
 *   hops  how many Received lines the copy takes; 0: unknown */
void smtp_talk_private(struct smtp_talk *t, unsigned hops);

/* After RCPT was accepted: say DATA and a message with a few more Received
 * lines than the copy takes (RFC 5321 section 6.3), so that it is refused at
 * the very end: nothing is queued. Only where smtp_talk_private() was said, and
 * the socket isn't in this process's network; else TALK_BAD_ARGUMENT. Where
 * that can't be known, as before Linux 5.14, or the limit isn't, nothing is
 * said, and taken_r is set.
 *   taken_r  all that asks behind DATA had no objection
 *   reply  the last one; as it was where nothing is said */
enum talk_result
smtp_talk_message(struct smtp_talk *t, bool *taken_r, struct smtp_reply *reply);

void smtp_talk_close(struct smtp_talk **t); /* NULL-safe */

#endif
