/* throttle - the limits in force: the limiter, with what the audit remembers
 * at start, the time of day, the log, and automatic denials. Any thread, once
 * it is started. */
#ifndef POPGATE_THROTTLE_H
#define POPGATE_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "audit.h"
#include "config.h"
#include "decision.h"
#include "facts.h"
#include "limiter.h"

struct err;

/* Make the table, empty. 0, or -1 with err. */
int throttle_new(const struct config *cfg, struct err *err);

/* Count what the audit remembers, before anybody is served. audit is where
 * breaches are written from now on; path is its file. 0, or -1 with err. */
int throttle_start(const struct config *cfg, struct audit *audit,
    const char *path, struct err *err);

/* For struct audit_options: an admin let one in again. */
void throttle_lifted(void *arg, bool is_user, const char *subject);

/* Is the client, or user (NULL: none), kept out for a breach? Costs nothing
 * while nobody is. */
bool throttle_denied(const struct addr *client, const char *user, int64_t now);

/* One recipient that may relay. All is borrowed. */
struct throttle_recipient {
	const struct facts_question *q;
	enum reason reason; /* why it may */
	const char *login_user;
	enum audit_channel channel;
	int64_t at_ms;
	bool monitored; /* nothing will be refused */
	/* kept by the caller between the recipients of one message; NULL: the
	 * channel doesn't tell messages apart */
	struct limiter_message *message;
};

/* Is it within the limits? If so it has been counted. */
bool
throttle_take(const struct config *cfg, const struct throttle_recipient *r);

#endif
