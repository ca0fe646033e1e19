/* SPDX-License-Identifier: ISC */
/* breach - who went over a limit, and is kept out for it: popgate-milter's own
 * denials, which are in audit.db. */
#ifndef POPGATE_BREACH_H
#define POPGATE_BREACH_H

#include "common/policy/limiter.h"
#include "common/policy/policy.h"
#include "ctl/ctl.h"

struct facts_question;

enum { BREACH_WORDS_MAX = 96 };

/* "over limits.client_senders = 100/1h", into buf of BREACH_WORDS_MAX. */
const char *breach_words(const struct audit_breach *breach, char *buf);

/* One line: who, which limit, when, and how it ended. */
void breach_print(const struct ctl *ctl, const struct audit_breach *breach,
    const char *before);

/* Open the audit; *r_r is NULL with 0 when there is none yet: popgate-milter
 * has never run. Else an exit status after having said why. */
int breach_open(struct ctl *ctl, struct audit_reader **r_r);

/* The client's name in counts: an IPv6 address as the network it is in. Text
 * into buf of NETWORK_TEXT_MAX; returns buf. */
const char *
breach_client(const struct config *cfg, const struct addr *client, char *buf);

/* How far back a breach may still count. */
int64_t breach_since_ms(const struct ctl *ctl);

/* How it stands with the limits for somebody who asks now. */
struct breach_state {
	bool known; /* the audit could be read */
	bool counts; /* what lets it relay is limited */
	bool of_client, of_user; /* who is charged */
	int64_t used[LIMITS]; /* of several users, the one with most left */
	bool over; /* one more would be too many */
	enum limit limit; /* of this */
	bool denied;
	char denial[BREACH_WORDS_MAX];
};

/* Fill denied and denial, as the milter decides it: by the client, and by
 * auth_user (NULL: none), or by all of login_users (a userlist of USERLIST_MAX;
 * NULL: the session doesn't rest on a login). Takes those who are denied out of
 * that list while others are left. */
void breach_denied(struct ctl *ctl, struct audit_reader *r,
    const struct addr *client, const char *auth_user, char *login_users,
    struct breach_state *state);

/* Fill the rest with the milter's own sums, from the same rows.
 *   reason  by which it would relay, see charge.h */
void breach_usage(struct ctl *ctl, struct audit_reader *r,
    const struct facts_question *q, enum reason reason, const char *login_users,
    struct breach_state *state);

/* Where machines share one gate: count what the others relayed, too.
 *   only   see struct charge_history
 *   now_s  now, as the limiter counts
 * 0, or -1 with err. */
int breach_others(struct ctl *ctl, struct limiter *l,
    const struct limiter_event *only, int64_t now_s, struct err *err);

/* "client_recipients 13 of 2000/1h, ...", into buf. */
const char *breach_usage_words(const struct config *cfg,
    const struct breach_state *state, char *buf, size_t size);

/* Let a client or user in again who was denied, or went over a limit in the
 * last week: that may be as long as it counts. Returns 0, or an exit status
 * after having said why. */
struct breach_lifted {
	bool over, denied; /* which of them it was; both false: neither */
};
int breach_lift(struct ctl *ctl, bool is_user, const char *subject,
    struct breach_lifted *lifted_r);

#endif
