/* SPDX-License-Identifier: ISC */
/* say - what a client says up to RCPT, and what it hears; to a private copy, or
 * to a running mail server, which gets no message by it. */
#ifndef POPGATE_SAY_H
#define POPGATE_SAY_H

#include "ctl/smtp/smtp_talk.h"
#include "ctl/stage/stage.h"

/* Say a mail on a connected socket, up to RCPT, then RSET and QUIT.
 *   fd  is closed
 *   hops  where the mail has a message: see smtp_talk_private()
 *   timeout_ms  for each reply
 *   reply  tls: the server speaks TLS from the first byte; else filled
 * Returns TALK_REPLY, or why there was no reply to reply->step. */
enum talk_result say_mail(int fd, const struct stage_mail *mail, unsigned hops,
    int timeout_ms, struct stage_reply *reply);

#endif
