/* SPDX-License-Identifier: ISC */
/* wiring/answered - who gave an SMTP reply: popgate, or what else in the mail
 * server. Pure. */
#ifndef POPGATE_WIRING_ANSWERED_H
#define POPGATE_WIRING_ANSWERED_H

struct config;
struct stage_reply;

/* The program that answered a client that wanted to relay. */
enum answered {
	ANSWERED_NOBODY, /* accepted */
	ANSWERED_POPGATE,
	ANSWERED_MTA /* refused or put off, but not in popgate's words */
};

/*   who_r  for people: "smtpd_client_restrictions", "a milter that can't be
 *          reached"; constant */
enum answered answered_by(const struct config *cfg,
    const struct stage_reply *reply, const char **who_r);

#endif
