/* SPDX-License-Identifier: ISC */
/* login - one successful POP3 or IMAP login, as a server's log told it. */
#ifndef POPGATE_LOGIN_H
#define POPGATE_LOGIN_H

#include <stdint.h>

#include "common/base/addr.h"

enum {
	LOGIN_USER_MAX = 256, /* bytes of a user name, with its NUL */
	LOGIN_WORD_MAX = 32,
	/* a login's time may lie this far ahead without a warning; entries of
	 * other machines are refused beyond it */
	LOGIN_FUTURE_S = 300
};

/* The server and the source that the tables name for an admin's entry by
 * popgatectl. Files hold it: it never changes. */
#define STORE_ADMIN "popgatectl"

struct login {
	struct addr client;
	char user[LOGIN_USER_MAX]; /* as logged; "" when it was cut */
	char service[LOGIN_WORD_MAX]; /* "imap", "pop3", or "" */
	char server[LOGIN_WORD_MAX]; /* the grammar: "dovecot", "courier" */
	int64_t at; /* Unix seconds, the line's own time */
};

#endif
