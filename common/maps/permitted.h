/* SPDX-License-Identifier: ISC */
/* permitted - the clients that popgate-milter would let relay by a login,
 * whatever they send: what a map for another program may hold. Such a map
 * knows no sender, no limit and no "try again later". Logs nothing. */
#ifndef POPGATE_PERMITTED_H
#define POPGATE_PERMITTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "common/db/store.h"

struct config;
struct err;

struct permitted {
	const char *client; /* as in the table */
	struct network net;
	bool is_network; /* more than one address */
	int64_t ticks; /* store_ticks() of the newest row */
	const char *const *user; /* who logged in; "" an admin's entry */
	size_t users;
};

/* Call fn for each client, by text, until it returns false. Left out are
 * expired rows, those of denied users, and clients that are denied, in
 * never_authorize or proxy_networks, our own, or refused as shared; also
 * networks of which that is true in part.
 *   own      the machine's own addresses; NULL: none
 *   now      Unix seconds
 *   until_r  when the answer changes by itself; INT64_MAX: never
 * 0, or -1 with err: what was passed to fn is not all then. */
int permitted_each(struct store *st, const struct config *cfg,
    const struct network_set *own, int64_t now,
    bool (*fn)(void *arg, const struct permitted *client), void *arg,
    int64_t *until_r, struct err *err);

#endif
