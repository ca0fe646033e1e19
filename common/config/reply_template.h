/* SPDX-License-Identifier: ISC */
/* reply_template - the admin's templates of SMTP replies: what may stand in
 * one, and what each is by default. Pure. */
#ifndef POPGATE_REPLY_TEMPLATE_H
#define POPGATE_REPLY_TEMPLATE_H

#include <stddef.h>

/* The words of a template that stand for a value: {client}, {ago}, {family},
 * {other} (see common/policy/reply.h). */
enum reply_word { W_CLIENT, W_AGO, W_FAMILY, W_OTHER, WORDS };

#define REPLY_NO_LOGIN                                                   \
	"Relaying denied for {client}: check your mail by POP3 or IMAP " \
	"first, or use SMTP AUTH on port 587"
#define REPLY_OTHER_FAMILY \
	"(you send over {family}: a login over {other} is no help)"
#define REPLY_LOGIN_EXPIRED                                                 \
	"Relaying denied for {client}: your last login expired {ago} ago, " \
	"check your mail again, or use SMTP AUTH on port 587"
#define REPLY_NO_CLIENT_IDENTITY                                          \
	"Relaying denied: a login from {client} opens nothing, use SMTP " \
	"AUTH on port 587"
#define REPLY_SHARED_ADDRESS                                                   \
	"Relaying denied for {client}: too many users log in from there, use " \
	"SMTP AUTH on port 587"
#define REPLY_DENIED \
	"Relaying denied for {client}: blocked by the postmaster of this server"
#define REPLY_SENDER_MISMATCH                                                 \
	"Relaying denied for {client}: whoever logged in from there may not " \
	"send as this sender"
#define REPLY_RATE_LIMITED \
	"Relaying for {client}: too much mail for now, please try again later"
#define REPLY_UNAVAILABLE \
	"Relaying can't be decided now, please try again later"
#define REPLY_COLLECTOR_BEHIND \
	"Logins are read with delay now, please try again in a few minutes"

/* The word that text begins with, or WORDS; its length goes to *len_r. */
enum reply_word reply_word_at(const char *text, size_t *len_r);

/* For the configuration: NULL when value is a good template, else what was
 * expected. Printable ASCII, at most 400 bytes, known names in braces. */
const char *reply_check(const char *value);
/* reply_check() for a template that may be empty. */
const char *reply_check_hint(const char *value);

#endif
