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
	VERDICTS,
	VERDICT_ASK_STORE = VERDICTS /* policy_decide() needs the table */
};

enum reason {
	REASON_LOCAL_RECIPIENT,
	REASON_DENIED,
	REASON_AUTHENTICATED,
	REASON_CERTIFICATE,
	REASON_TRUSTED_NETWORK,
	REASON_NO_CLIENT_IDENTITY,
	REASON_SHARED_ADDRESS,
	REASON_STORE_UNAVAILABLE,
	REASON_SENDER_MISMATCH,
	REASON_SENDER_UNKNOWN,
	REASON_RATE_LIMITED,
	REASON_RECENT_LOGIN,
	REASON_LOGIN_EXPIRED,
	REASON_COLLECTOR_BEHIND,
	REASON_NO_LOGIN,
	REASON_AUDIT_UNAVAILABLE,
	REASONS
};

struct decision {
	enum verdict verdict;
	enum reason reason;
	int rule; /* row of the policy table */
	int64_t login_at; /* newest login it rests on; 0 none */
	int64_t expires_at; /* of that login; 0 none */
	bool other_family; /* no login, while others log in by IPv4 when
			    * this is IPv6, or the other way */
};

/* What becomes of a verdict in monitor mode. */
enum verdict verdict_monitored(enum verdict verdict);
const char *verdict_name(enum verdict verdict); /* "accept", ... */
const char *reason_name(enum reason reason); /* "no-login", ... */

#endif
