/* SPDX-License-Identifier: ISC */
/* limit - the limits of policy row 9, as the configuration names them. */
#ifndef POPGATE_LIMIT_H
#define POPGATE_LIMIT_H

#include <stdint.h>

/* The limits of a client and those of a user, in the same order. */
enum limit {
	LIMIT_CLIENT_RECIPIENTS,
	LIMIT_CLIENT_MESSAGES,
	LIMIT_CLIENT_SENDERS, /* distinct */
	LIMIT_USER_RECIPIENTS,
	LIMIT_USER_MESSAGES,
	LIMIT_USER_CLIENTS, /* distinct */
	LIMIT_MESSAGE_RECIPIENTS, /* has no window */
	LIMITS
};

/* At most max in any window_s seconds. max 0: no limit. */
struct limit_rate {
	int64_t max;
	int64_t window_s;
};

const char *limit_name(enum limit limit); /* "client_recipients", ... */

#endif
