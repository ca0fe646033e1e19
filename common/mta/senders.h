/* SPDX-License-Identifier: ISC */
/* senders - which sender addresses a user may use (sender binding). */
#ifndef POPGATE_SENDERS_H
#define POPGATE_SENDERS_H

#include <stdbool.h>

#include "common/base/strings.h"
#include "common/base/strset.h"

struct err;

/* How closely a sender is bound to the login. */
enum sender_binding { SENDER_OFF, SENDER_DOMAIN, SENDER_ADDRESS };

/* Constant once loaded: any number of threads may ask it. */
struct sender_set {
	bool user_name; /* "user" is a source */
	struct string_list append; /* folded domains */
	struct strset set; /* see senders.c */
	struct string_list files; /* to be read again when one changes */
};

/* Read what relay.sender_addresses names:
 *   "user"            the user name itself, when it is an address
 *   "append:domain"   a user name that is no address, with this domain
 *   "file:/path"      lines "user: address, @domain ...", # comments
 *   "postfix:/etc/postfix"  the tables of its smtpd_sender_login_maps; as in
 *                     Postfix, an address that is a key goes before its
 *                     @domain. Tables that can be listed only (postmap -s).
 * Runs postconf and postmap: not for a hot path. Returns 0, or -1 with err
 * that names the place in such a file, but not the setting; *set is empty
 * then. */
int senders_load(
    const struct string_list *sources, struct sender_set *set, struct err *err);
void senders_release(struct sender_set *set);

/* May user send as sender? Pure. Case doesn't count in either; what isn't a
 * plain address matches nothing; user "" may use nothing.
 *   binding  SENDER_DOMAIN: the domain of one of the user's addresses is
 *            enough; SENDER_ADDRESS: one of the addresses, or its @domain */
bool senders_allow(const struct sender_set *set, enum sender_binding binding,
    const char *user, const char *sender);

#endif
