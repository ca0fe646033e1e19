/* SPDX-License-Identifier: ISC */
/* throttle - the limits in force: the limiter, with what the audit remembers at
 * start, a monotonic clock (limiter_now()), the log, and automatic denials,
 * which end by Unix time. Any thread, once it is started. */
#ifndef POPGATE_THROTTLE_H
#define POPGATE_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/db/audit.h"
#include "common/policy/facts.h"
#include "common/policy/limiter.h"
#include "common/records/decision.h"

struct err;
struct store;

/* Make the table, empty. 0, or -1 with err. */
int throttle_new(const struct config *cfg, struct err *err);

/* Count what the audit remembers, before anybody is served. audit is where
 * breaches are written from now on; path is its file. 0, or -1 with err. */
int throttle_start(const struct config *cfg, struct audit *audit,
    const char *path, struct err *err);

/* For struct audit_options: an admin let one in again. */
void throttle_lifted(void *arg, bool is_user, const char *subject);

/* Count what other machines relayed, by logins.db, behind the row *after, which
 * moves on. 0, or -1 with err. */
int throttle_hear(const struct config *cfg, struct store *st, int64_t *after,
    struct err *err);

/* Another machine denies one for a breach: so does this one, and the audit says
 * so. denial->until is in the future. */
void throttle_deny(const struct audit_denial *denial);

/* Is the client, or the user who authenticated (NULL: none), kept out for a
 * breach? Costs nothing while nobody is. */
bool
throttle_denied(const struct addr *client, const char *auth_user, int64_t now);

/* Take those out of login_users whose logins are worth nothing because of a
 * breach. Returns whether that leaves nobody of them. */
bool throttle_denied_logins(char login_users[USERLIST_MAX], int64_t now);

/* One recipient that may relay. All is borrowed. */
struct throttle_recipient {
	const struct facts_question *q;
	enum reason reason; /* why it may */
	/* The users whose logins let the client relay. Users without room are
	 * taken out when another one has room. */
	char *login_users; /* of USERLIST_MAX */
	enum audit_channel channel;
	int64_t at_ms;
	bool monitored; /* nothing will be refused */
	/* kept by the caller between the recipients of one message; NULL: the
	 * channel doesn't tell messages apart */
	struct limiter_message *message;
	uint16_t port; /* the client's; 0: not known */
};

/* Is it within the limits? If so it has been counted; by the milter reserved,
 * until throttle_settle(). */
bool
throttle_take(const struct config *cfg, const struct throttle_recipient *r);

/* Would throttle_take() find room for a recipient? Counts nothing, and knows
 * nothing of the limits that hang on the message or the sender. */
bool
throttle_has_room(const struct config *cfg, const struct throttle_recipient *r);

/* The message is sent, or given up: what it reserved counts, or is free. */
void throttle_settle(
    const struct config *cfg, struct limiter_message *message, bool sent);

#endif
