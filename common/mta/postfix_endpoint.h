/* SPDX-License-Identifier: ISC */
/* postfix_endpoint - a socket as main.cf names it ("unix:private/policy",
 * "inet:127.0.0.1:10030", "{ unix:/run/x, timeout=5s }"), and which path of
 * this machine that is for a service. Pure. */
#ifndef POPGATE_POSTFIX_ENDPOINT_H
#define POPGATE_POSTFIX_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

enum { POSTFIX_ENDPOINT_MAX = 300, POSTFIX_PATH_MAX = 700 };

struct postfix_endpoint {
	bool is_unix;
	char path[POSTFIX_ENDPOINT_MAX]; /* as named, when is_unix */
	char host[POSTFIX_ENDPOINT_MAX]; /* else; without brackets */
	unsigned port; /* 0: a name of services(5) */
};

/* Read one word of smtpd_milters, or the operand of check_policy_service: the
 * endpoint alone or in braces with attributes behind it; "unix:" and "local:"
 * name a path, "inet:" a host and a port. A path alone is read like "unix:".
 * Returns false when it is none of these. */
bool postfix_endpoint_parse(const char *word, struct postfix_endpoint *e);

/* The same for a lookup table: "socketmap:unix:/run/x:name",
 * "proxy:socketmap:inet:host:port:name". */
bool postfix_endpoint_map(const char *table, struct postfix_endpoint *e);

/* Is it this machine alone? An address or name, as inet_interfaces lists it
 * ("127.0.0.1", "[::1]", "localhost", "loopback-only"), or with a port behind
 * it, as master.cf names a service ("127.0.0.1:10025", "[::1]:smtp"). A name
 * that only begins like one of these ("localhost.example.com") is not. */
bool postfix_endpoint_is_loopback(const char *text);

/* The path of this machine that a service opens for path: Postfix's programs
 * work in the queue directory, and a chrooted one has it for its root.
 * Without "." and doubled slashes; symbolic links aren't followed.
 *   queue  queue_directory
 *   buf    of POSTFIX_PATH_MAX; cut when it doesn't fit */
void postfix_endpoint_seen(
    const char *queue, bool chroot, const char *path, char *buf);

#endif
