/* SPDX-License-Identifier: ISC */
/* smtp_talk - an SMTP session that can ask but never send a message: there is
 * no way in here to say DATA or BDAT, and an argument can't hold a second
 * command. Everything has a deadline; the server may be hostile. */
#ifndef POPGATE_SMTP_TALK_H
#define POPGATE_SMTP_TALK_H

#include <stddef.h>

#include "common/base/addr.h"
#include "ctl/doctor/probe/smtp_reply.h"

struct probe_net;
struct smtp_talk;

enum smtp_verb {
	SMTP_EHLO,
	SMTP_HELO, /* argument: a name */
	SMTP_MAIL, /* argument: what stands in the brackets */
	SMTP_RCPT, /* argument: all behind "TO:" */
	SMTP_XCLIENT, /* argument: attributes; where the server offers it */
	SMTP_RSET,
	SMTP_QUIT /* no argument */
};

enum talk_result {
	TALK_REPLY,
	TALK_NO_CONNECTION, /* errno says why */
	TALK_TIMEOUT,
	TALK_CLOSED,
	TALK_NONSENSE, /* no reply, or one without end */
	TALK_BAD_ARGUMENT /* holds CR or LF, or is too long: not said */
};
const char *talk_words(enum talk_result result);

/* Connect and take the greeting. *t_r is to be closed in any case.
 *   timeout_ms  for this, and for each reply as a whole */
enum talk_result smtp_talk_open(const struct probe_net *net,
    const struct addr *to, unsigned port, int timeout_ms,
    struct smtp_talk **t_r, struct smtp_reply *reply);

/* Say one command and wait for the reply. After anything but TALK_REPLY and
 * TALK_BAD_ARGUMENT there is nothing to be done but to close. */
enum talk_result smtp_talk_say(struct smtp_talk *t, enum smtp_verb verb,
    const char *argument, size_t len, struct smtp_reply *reply);

void smtp_talk_close(struct smtp_talk **t); /* NULL-safe */

#endif
