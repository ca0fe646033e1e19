/* charge - which recipients count against the limits, and whose they are: the
 * same for those that come now and for those that the audit remembers. */
#ifndef POPGATE_CHARGE_H
#define POPGATE_CHARGE_H

#include <stdbool.h>
#include <stdint.h>

#include "decision.h"
#include "limiter.h"

struct audit_reader;
struct config;
struct err;

/* Is any limit on? */
bool charge_any(const struct config *cfg);

/* Does a recipient count that may relay for this reason? If so it fills
 * ev->user and ev->free_client. Strings are borrowed.
 *   SMTP AUTH        the user's, and not the client's: behind one address may
 *                    be an office or a webmail; without a name the client's
 *   recent login     the client's, and the user's where there is only one
 *   trusted network, certificate   the client's
 * limits.authenticated and limits.trusted_networks say whether. */
bool charge_event(const struct config *cfg, enum reason reason,
    const char *auth_user, const char *login_user, struct limiter_event *ev);

/* The number of a client or user that the audit names; 0 when text is none. */
uint64_t
charge_subject(const struct limiter *l, bool is_user, const char *text);

struct charge_history {
	int64_t now_ms; /* Unix time */
	int64_t now_s; /* the same moment, as the limiter counts */
	const char *client; /* only this one, as the audit writes it; */
	const char *user; /* only this one; NULL: all */
	int rows_max; /* of the newest; 0: CHARGE_ROWS */
	/* what was found */
	int64_t rows;
	bool cut; /* there were more than are looked at */
};

/* Count what the audit says was relayed in the longest window, and deny whom
 * it says is denied. At most rows_max of the newest rows are looked at.
 * 0, or -1 with err. */
enum { CHARGE_ROWS = 2000000 };
int charge_history(struct limiter *l, const struct config *cfg,
    struct audit_reader *r, struct charge_history *h, struct err *err);

#endif
