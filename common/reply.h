/* reply - the text of an SMTP reply, from the admin's template.
 * {client} becomes the client's address, {ago} how long ago a login expired
 * ("12 minutes"), {family} "IPv4" or "IPv6" as the client has it, {other} the
 * other one. User names are never in a reply. Pure. */
#ifndef POPGATE_REPLY_H
#define POPGATE_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "decision.h"

struct addr;
struct config;

enum { REPLY_TEXT_MAX = 512 };

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

/* For the configuration: NULL when value is a good template, else what was
 * expected. Printable ASCII, at most 400 bytes, known names in braces. */
const char *reply_check(const char *value);
/* The same, where "" is good too. */
const char *reply_check_hint(const char *value);

/* Code, enhanced status code and text for a decision that is no accept.
 *   code, status  buffers of 4 and 8 bytes
 *   text          buffer of REPLY_TEXT_MAX; plain: libmilter wants each %
 *                 doubled, see reply_double_percent()
 * For VERDICT_ACCEPT all are made empty. */
void reply_format(const struct config *cfg, const struct decision *d,
    const struct addr *client, int64_t now, char *code, char *status,
    char *text);

/* Copy text with each % doubled into buf of 2 * REPLY_TEXT_MAX. */
void reply_double_percent(const char *text, char *buf);

#endif
