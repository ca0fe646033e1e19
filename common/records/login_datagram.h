/* SPDX-License-Identifier: ISC */
/* login_datagram - how a server tells popgate-collector of a login itself, as
 * Dovecot's post-login script does by "popgatectl login": a datagram to the
 * Unix socket of a { login = "/path"; } source, answered by a word. Pure.
 *
 *   "popgate-login-1" NUL user NUL client NUL service NUL server NUL
 *
 * Who may say so is told by the kernel (SCM_CREDENTIALS), not by the message.
 * The answer, to senders with an abstract address (autobind, unix(7)), is what
 * the login was counted as in the table source_count: "login", or why it is
 * none; without NUL. */
#ifndef POPGATE_LOGIN_DATAGRAM_H
#define POPGATE_LOGIN_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>

enum {
	LOGIN_DATAGRAM_MAX = 1024, /* bytes of a message */
	LOGIN_DATAGRAM_ANSWER_MAX = 64 /* bytes of an answer */
};

struct login_datagram {
	const char *user;
	const char *client; /* an address */
	const char *service; /* "imap", "pop3" or "" */
	const char *server; /* a word, see login_datagram_server_good() */
};

/* Returns the message's length, 0 when it would be longer than
 * LOGIN_DATAGRAM_MAX. */
size_t login_datagram_format(const struct login_datagram *told, char *buf);

/* Split a message; told points into it. False: it is none. What the fields
 * are worth isn't looked at. */
bool
login_datagram_parse(const char *buf, size_t len, struct login_datagram *told);

bool login_datagram_service_good(const char *service);
/* 1 to 31 letters, digits, and the signs - _ and .; not "popgatectl", which is
 * how the table calls an admin's entries. */
bool login_datagram_server_good(const char *server);

#endif
