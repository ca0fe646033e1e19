/* SPDX-License-Identifier: ISC */
#include "ctl/wiring/answered.h"

#include <stddef.h>
#include <string.h>

#include "common/policy/reply.h"
#include "ctl/stage/stage.h"

/* The words that Postfix, Sendmail and Exim have for each refusal; the first
 * that fits counts. */
static const struct {
	const char *words, *who;
} places[] = {
	{ "Must issue a STARTTLS", "the service, which wants TLS first" },
	{ "Relay access denied",
	    "reject_unauth_destination, in front of popgate" },
	{ "Relaying is temporarily", "the wiring, as popgate gives no answer" },
	{ "Client host rejected", "smtpd_client_restrictions" },
	{ "Helo command rejected", "smtpd_helo_restrictions" },
	{ "Sender address rejected", "smtpd_sender_restrictions" },
	{ "User unknown", "the list of mailboxes" },
	{ "Recipient address rejected",
	    "smtpd_relay_restrictions or smtpd_recipient_restrictions" },
	{ "Server configuration", "a check or table that can't be reached" },
	{ "Temporary lookup failure", "a table that can't be read" },
	{ "Service unavailable", "a milter or check that can't be reached" },
	{ "Service currently unavailable", "postscreen" },
	{ "Relaying denied", "Sendmail's check_rcpt, without popgate" },
	{ "relay not permitted", "Exim's acl_smtp_rcpt, without popgate" },
	{ "Administrative prohibition", "Exim's acl_smtp_rcpt" },
	{ "reylist", "greylisting" },
};

enum answered
answered_by(const struct config *cfg, const struct stage_reply *reply,
    const char **who_r)
{
	*who_r = "the mail server";
	if (reply->accepted)
		return ANSWERED_NOBODY;
	if (reply_is_ours(cfg, reply->reply.text)) {
		*who_r = "popgate";
		return ANSWERED_POPGATE;
	}
	if (reply->step < STAGE_MAIL)
		*who_r = "the service, before MAIL";
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strstr(reply->reply.text, places[i].words) != NULL) {
			*who_r = places[i].who;
			break;
		}
	return ANSWERED_MTA;
}
