/* SPDX-License-Identifier: ISC */
/* reply - the text of an SMTP reply, from the admin's template, the keys
 * reply.* (defaults in common/config/reply_template.h, codes in POLICY_ROWS of
 * policy.c).
 * {client} becomes the client's address, {ago} how long ago a login expired
 * ("12 minutes"), {family} "IPv4" or "IPv6" as the client has it, {other} the
 * other one. User names are never in a reply. Pure. */
#ifndef POPGATE_REPLY_H
#define POPGATE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/records/decision.h"

struct addr;
struct config;

enum { REPLY_TEXT_MAX = 512 };

/* Code, enhanced status code and text for a decision that is no accept.
 *   code, status  buffers of 4 and 8 bytes
 *   text          buffer of REPLY_TEXT_MAX; plain: libmilter wants each %
 *                 doubled, see reply_double_percent()
 * For VERDICT_ACCEPT all are made empty. */
void reply_format(const struct config *cfg, const struct decision *d,
    const struct addr *client, int64_t now, char *code, char *status,
    char *text);

/* Does the text of an SMTP reply hold the words of one of the templates, with
 * anything in the place of a value? An MTA may put words of its own before. */
bool reply_is_ours(const struct config *cfg, const char *text);

/* Copy text with each % doubled into buf of 2 * REPLY_TEXT_MAX. */
void reply_double_percent(const char *text, char *buf);

#endif
