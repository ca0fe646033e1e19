/* SPDX-License-Identifier: ISC */
/* live - the running mail server asked as a stranger would ask it: may he
 * relay, and does it take our own mail? No message is sent. */
#ifndef POPGATE_LIVE_H
#define POPGATE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/addr.h"
#include "ctl/smtp/probe_net.h"

struct err;

/* The addresses from which live_ask() and live_ask_user() come. */
#define LIVE_CLIENT4 PROBE_NET_SOURCE4
#define LIVE_CLIENT6 PROBE_NET_SOURCE6

struct live_service {
	char name[200]; /* "smtp/inet", for messages */
	struct addr to;
	unsigned port;
	bool tls; /* from the first byte */
	/* what live_ask() found */
	bool answers; /* it greeted with 2xx */
	bool asked; /* about a recipient elsewhere */
	bool relays; /* it took that */
	bool own; /* it took our own recipient */
	char said[300]; /* its last reply, or what went wrong */
};

/* The process whose number is in a regular file, which the mail server's user
 * may write, if the name of its program begins with name; else 0. */
pid_t live_process(const char *pid_file, const char *name);

/* The addresses at which clients reach this machine: neither loopback nor
 * link-local. Returns false when there are none. */
bool live_addresses(struct network_set *set);

/* Ask n services, from an address that nobody has (probe_net.h).
 *   own  a recipient of ours
 * 0, or -1 with err when there is no such address to come from. */
int
live_ask(struct live_service *v, size_t n, const char *own, struct err *err);

/* Ask whether they relay for a client that has logged in.
 *   let  is called with the client's address before it is used (in), and after,
 *        also when the first call failed: 0, or -1 with err
 * 0, or -1 with err when it can't be asked. */
int live_ask_user(struct live_service *v, size_t n,
    int (*let)(void *arg, const struct addr *client, bool in, struct err *err),
    void *arg, struct err *err);

#endif
