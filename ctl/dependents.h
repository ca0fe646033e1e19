/* SPDX-License-Identifier: ISC */
/* dependents - the users who relay by a login, how they do it, and who of them
 * has moved to SMTP AUTH; and the same by week. Out of the record of decisions.
 * One thread. */
#ifndef POPGATE_DEPENDENTS_H
#define POPGATE_DEPENDENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"

struct audit_reader;
struct err;

enum {
	DEPENDENTS_WEEKS = 64,
	DEPENDENT_KEPT = 8, /* devices and addresses of a user: the newest */
	DEPENDENT_MOVED_S = 7 * 86400
};

enum dependent_state {
	DEPENDENT_DEPENDS, /* has never used SMTP AUTH */
	DEPENDENT_BOTH, /* uses it, and relayed by a login of late */
	/* The last relay by a login is DEPENDENT_MOVED_S old, and the user has
	 * used SMTP AUTH since. */
	DEPENDENT_MOVED,
	DEPENDENT_STATES
};

/* A user's mail program: what it calls itself, and sends as. */
struct dependent_device {
	const char *helo, *sender; /* of struct dependents */
	int64_t last_at; /* Unix seconds */
	uint32_t recipients;
};

struct dependent_address {
	struct addr client;
	int64_t last_at;
	uint32_t recipients;
};

struct dependent {
	const char *user; /* of struct dependents */
	/* Unix seconds; 0: never. The first and the last relay by a login, and
	 * the first and the last use of SMTP AUTH, in the whole record. */
	int64_t first_at, last_at, auth_first_at, auth_at;
	/* By a login since dependents_gather()'s since; addresses are distinct
	 * ones. */
	uint32_t recipients, messages, addresses;
	enum dependent_state state;
	/* Since then, the newest first; owned. None without details. */
	struct dependent_device *device;
	struct dependent_address *address;
	uint8_t n_devices, n_addresses;
	uint64_t login_weeks, auth_weeks; /* a bit for each week */
};

/* Monday 0:00 to Sunday 24:00 of the local zone. */
struct dependents_week {
	int64_t begin; /* Unix seconds */
	int64_t by_login; /* users who relayed by a login */
	int64_t never_auth; /* of them: without SMTP AUTH until its end */
	int64_t by_auth; /* users of SMTP AUTH */
};

struct dependents {
	/* Everyone who relayed by a login or used AUTH. Those with most
	 * recipients first, then by name. A user of AUTH alone has first_at 0.
	 */
	struct dependent *user; /* owned */
	size_t users;
	/* Recipients since then for clients with several users, and by logins
	 * of nobody by name: they are no user's. */
	int64_t shared;
	/* Since the record begins, but no more than DEPENDENTS_WEEKS; the
	 * oldest first, the current one last. */
	struct dependents_week week[DEPENDENTS_WEEKS];
	int weeks;
	struct dependents_texts *texts; /* not the caller's */
};

/* Read the whole record of decisions once.
 *   since, now  Unix seconds
 *   details     devices, addresses and how many messages, too
 * Returns 0 and *d_r, for dependents_free(); or -1 with err. */
int dependents_gather(struct audit_reader *r, int64_t since, int64_t now,
    bool details, struct dependents **d_r, struct err *err);
void dependents_free(struct dependents **d); /* NULL-safe; sets *d to NULL */

/* "depends", "both", "moved" */
const char *dependent_state_name(enum dependent_state state);

#endif
