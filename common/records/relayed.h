/* SPDX-License-Identifier: ISC */
/* relayed - what one machine tells others of its relays, so that limits hold
 * over all of them: the recipients of a second that are charged alike. */
#ifndef POPGATE_RELAYED_H
#define POPGATE_RELAYED_H

#include <stdint.h>

/* How the client may relay; files and the stream hold it: it never changes. */
#define RELAYED_LOGIN "login" /* user: a userlist, may be "" */
#define RELAYED_AUTH "auth" /* user: one; nothing is charged to the client */
#define RELAYED_CLIENT "client" /* nobody but the client is charged */

/* Strings are borrowed. */
struct relayed {
	int64_t id; /* in the table that it is read from; grows */
	const char *origin; /* of the outbox that it comes from */
	int64_t number; /* there; never twice */
	int64_t at; /* Unix seconds */
	const char *client; /* canonical address; "" unknown */
	const char *user;
	const char *how; /* as above */
	const char *sender;
	int64_t recipients;
	int64_t messages; /* that began with them */
};

#endif
