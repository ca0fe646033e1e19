/* SPDX-License-Identifier: ISC */
/* decision - what was decided on one recipient, and why. The names of the
 * reasons are the vocabulary of audit rows, log lines, metrics and tests. */
#ifndef POPGATE_DECISION_H
#define POPGATE_DECISION_H

#include <stdbool.h>
#include <stdint.h>

enum verdict {
	VERDICT_ACCEPT,
	VERDICT_REJECT,
	VERDICT_TEMPFAIL,
	/* in monitor mode: recorded, and left to the MTA */
	VERDICT_WOULD_REJECT,
	VERDICT_WOULD_TEMPFAIL,
	VERDICT_WOULD_ACCEPT, /* in observe mode, by the permit channel */
	VERDICTS,
	VERDICT_ASK_STORE = VERDICTS /* policy_decide() needs the table */
};

/* Every reason and its name. A name that was once recorded stays. */
#define REASONS_EACH(X)                             \
	X(LOCAL_RECIPIENT, "local-recipient")       \
	X(DENIED, "denied")                         \
	X(AUTHENTICATED, "authenticated")           \
	X(CERTIFICATE, "certificate")               \
	X(TRUSTED_NETWORK, "trusted-network")       \
	X(NO_CLIENT_IDENTITY, "no-client-identity") \
	X(SHARED_ADDRESS, "shared-address")         \
	X(STORE_UNAVAILABLE, "store-unavailable")   \
	X(SENDER_MISMATCH, "sender-mismatch")       \
	X(SENDER_UNKNOWN, "sender-unknown")         \
	X(RATE_LIMITED, "rate-limited")             \
	X(RECENT_LOGIN, "recent-login")             \
	X(LOGIN_EXPIRED, "login-expired")           \
	X(COLLECTOR_BEHIND, "collector-behind")     \
	X(NO_LOGIN, "no-login")                     \
	X(AUDIT_UNAVAILABLE, "audit-unavailable")   \
	X(DOMAIN_UNKNOWN, "domain-unknown")

enum reason {
#define REASON(reason, name) REASON_##reason,
	REASONS_EACH(REASON)
#undef REASON
	    REASONS
};

struct decision {
	enum verdict verdict;
	enum reason reason;
	int rule; /* number of the policy's row */
	int64_t login_at; /* newest login it rests on; 0 none */
	int64_t expires_at; /* of that login; 0 none */
	bool other_family; /* no login, while others log in by IPv4 when
			    * this is IPv6, or the other way */
};

/* What becomes of a verdict in monitor mode. */
enum verdict verdict_monitored(enum verdict verdict);
const char *verdict_name(enum verdict verdict); /* "accept", ... */
const char *reason_name(enum reason reason); /* "no-login", ... */
enum reason reason_find(const char *name); /* REASONS: there is none */

#endif
