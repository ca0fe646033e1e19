/* SPDX-License-Identifier: ISC */
/* told - how a server tells popgate-collector of a login itself, as Dovecot's
 * post-login script does by "popgatectl login": a datagram to the Unix socket
 * of a { login = "/path"; } source, answered by a word. Pure.
 *
 *   "popgate-login-1" NUL user NUL client NUL service NUL server NUL
 *
 * Who may say so is told by the kernel (SCM_CREDENTIALS), not by the message.
 * The answer, to senders with an abstract address (autobind, unix(7)), is what
 * the login was counted as in the table source_count: "login", or why it is
 * none; without NUL. */
#ifndef POPGATE_TOLD_H
#define POPGATE_TOLD_H

#include <stdbool.h>
#include <stddef.h>

enum {
	TOLD_MAX = 1024, /* bytes of a message */
	TOLD_ANSWER_MAX = 64 /* bytes of an answer */
};

struct told {
	const char *user;
	const char *client; /* an address */
	const char *service; /* "imap", "pop3" or "" */
	const char *server; /* a word, see told_server_good() */
};

/* Returns the message's length, 0 when it would be longer than TOLD_MAX. */
size_t told_format(const struct told *told, char *buf);

/* Split a message; told points into it. False: it is none. What the fields
 * are worth isn't looked at. */
bool told_parse(const char *buf, size_t len, struct told *told);

bool told_service_good(const char *service);
/* 1 to 31 letters, digits, and the signs - _ and .; not "popgatectl", which is
 * how the table calls an admin's entries. */
bool told_server_good(const char *server);

#endif
