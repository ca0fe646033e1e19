/* SPDX-License-Identifier: ISC */
/* session - what a log line says of a server's sessions: which one begins with
 * a login, which one has ended. A plain record. */
#ifndef POPGATE_SESSION_H
#define POPGATE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/records/login.h"

enum session_kind {
	SESSION_NONE = 0, /* nothing */
	SESSION_BEGIN, /* the login's session has this id */
	SESSION_END, /* the session of this id has ended */
	/* All sessions of the server have: it has started or stopped, or shows
	 * that the ends of its sessions don't name them. */
	SESSION_END_ALL,
};

enum { SESSION_ID_MAX = 128, SESSION_HOST_MAX = 65 };

/* An id means something only together with the source, server and host of its
 * line. */
struct login_session {
	enum session_kind kind;
	const char *server; /* grammar, a constant */
	char host[SESSION_HOST_MAX]; /* as in the log; "" none */
	char id[SESSION_ID_MAX]; /* not with SESSION_END_ALL */
	/* The user whose session ends, where the server is known to log the
	 * name as it did with the login; else "". With SESSION_END only. */
	char user[LOGIN_USER_MAX];
	/* The end may be logged, by another process, before the login. */
	bool unordered;
	/* The server is one of which some versions don't log every end: a
	 * login's session counts if the server has shown lately that it logs
	 * all; an end shows it. */
	bool proof;
	int64_t at; /* Unix seconds, the line's own time */
};

#endif
