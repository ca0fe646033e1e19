/* SPDX-License-Identifier: ISC */
/* charge - which recipients count against the limits, and whose they are: the
 * same for those that come now and for those that the audit remembers. */
#ifndef POPGATE_CHARGE_H
#define POPGATE_CHARGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/policy/limiter.h"
#include "common/records/decision.h"

struct audit_reader;
struct audit_record;
struct config;
struct err;
struct store;

/* Is any limit on? */
bool charge_any(const struct config *cfg);

/* Does a recipient count that may relay for this reason? If so it fills
 * ev->user, ev->by_login and ev->free_client. Strings are borrowed.
 *   SMTP AUTH        the user's, and not the client's: behind one address may
 *                    be an office or a webmail; without a name the client's
 *   recent login     the client's, and that of all users whose logins let it
 *                    relay, login_users (a userlist); of none where an admin
 *                    entered the client
 *   trusted network, certificate   the client's
 * limits.authenticated and limits.trusted_networks say whether. */
bool charge_event(const struct config *cfg, enum reason reason,
    const char *auth_user, const char *login_users, struct limiter_event *ev);

/* The numbers of a client or user that the audit names as over a limit: none
 * when text names none, one of a client or of a user's logins, two of a user
 * by AUTH: whoever has the password has the logins, too. Returns how many. */
int charge_subjects(const struct limiter *l, bool is_user, bool by_login,
    const char *text, uint64_t subject[2]);

struct charge_history {
	int64_t now_ms; /* Unix time */
	int64_t now_s; /* the same moment, as the limiter counts */
	int rows_max; /* of the newest; 0: CHARGE_ROWS */
	/* only what concerns this client or one of these users; NULL: all */
	const struct limiter_event *only;
	/* what was found */
	int64_t rows;
	bool cut; /* there were more than are looked at */
};

/* The longest window of a limit, in seconds, and the time for which it counts
 * beyond. */
int64_t charge_window(const struct config *cfg);

/* The messages of late, by hash: their records are close to each other. One
 * that was driven out counts again. Zero at first. */
enum { CHARGE_MESSAGES = 65536 };
struct charge_messages {
	uint64_t hash[CHARGE_MESSAGES];
};

/* Was the message of this record seen before? */
bool
charge_message_seen(struct charge_messages *m, const struct audit_record *rec);

struct charge_others {
	int64_t now; /* Unix seconds */
	int64_t now_s; /* the same moment, as the limiter counts */
	const struct limiter_event *only; /* as above */
	int64_t after; /* relayed.id up to which it is counted; moves on */
};

/* Count what logins.db says that other machines relayed. 0, or -1 with err:
 * what was counted until then is not counted again. */
int charge_others(struct limiter *l, const struct config *cfg, struct store *st,
    struct charge_others *o, struct err *err);

/* Count what the audit says was relayed in the longest window, and deny those
 * that it says are denied. Messages that the client gave up are freed as they
 * were when it happened. At most rows_max of the newest rows are looked at. 0,
 * or -1 with err. */
enum { CHARGE_ROWS = 2000000 };
int charge_history(struct limiter *l, const struct config *cfg,
    struct audit_reader *r, struct charge_history *h, struct err *err);

#endif
