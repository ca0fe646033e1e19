/* SPDX-License-Identifier: ISC */
/* ask_daemon - are the daemons there, without disturbing them. */
#ifndef POPGATE_PROBE_H
#define POPGATE_PROBE_H

#include <stdbool.h>
#include <sys/types.h>

enum probe_result {
	PROBE_GOOD,
	PROBE_BAD,
	PROBE_NOT_SET, /* the configuration has no such socket */
	PROBE_UNKNOWN /* can't be told from here */
};

struct probe {
	enum probe_result result;
	pid_t pid; /* who made the socket; 0: not known */
	long ms; /* how long the answer took */
	bool hangs; /* somebody is there, and doesn't answer */
	char words[400];
};

/* Ask a daemon for its health (common/daemon/health.h): GET on its status
 * socket. text    the answer, a JSON object, of PROBE_TEXT_MAX; "" without one
 *   daemon  who has to answer: "popgate-milter" */
enum { PROBE_TEXT_MAX = 65536, PROBE_PATH_MAX = 4096 };
void probe_health(
    const char *listen, const char *daemon, struct probe *p, char *text);

/* GET a page of a daemon's status socket.
 *   path  what the request asks for, with its arguments, already encoded
 *   text  the body, of PROBE_TEXT_MAX; "" without one
 * Returns the status of the reply; 0: there was none, see p. */
int
probe_page(const char *listen, const char *path, struct probe *p, char *text);

/* Ask the permit channel a policy request that decides nothing (a state
 * before RCPT), and wait for its answer. A user who may not connect learns as
 * by probe_listening() whether somebody listens. */
void probe_policy(const char *listen, struct probe *p);

/* Does somebody listen on this socket? Looks at the system's list of sockets:
 * a connection would be a mail session for the milter. */
void probe_listening(const char *listen, struct probe *p);

#endif
