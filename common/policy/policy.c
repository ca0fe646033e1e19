#include "common/policy/policy.h"

struct decision
policy_decide(const struct policy_facts *f)
{
	struct decision d = { .login_at = f->login_at,
		.expires_at = f->expires_at };

#define MATCH(n, v, r)           \
	do {                     \
		d.rule = (n);    \
		d.verdict = (v); \
		d.reason = (r);  \
		return d;        \
	} while (0)
	if (f->recipient_local)
		MATCH(1, VERDICT_ACCEPT, REASON_LOCAL_RECIPIENT);
	if (f->store == POLICY_STORE_UNASKED)
		MATCH(2, VERDICT_ASK_STORE, REASON_STORE_UNAVAILABLE);
	if (f->denied)
		MATCH(2, VERDICT_REJECT, REASON_DENIED);
	/* row 9 stands before whatever would let it relay */
	if ((f->authenticated || f->certificate || f->trusted) &&
	    !f->within_limits)
		MATCH(9, VERDICT_TEMPFAIL, REASON_RATE_LIMITED);
	if (f->authenticated)
		MATCH(3, VERDICT_ACCEPT, REASON_AUTHENTICATED);
	if (f->certificate)
		MATCH(4, VERDICT_ACCEPT, REASON_CERTIFICATE);
	if (f->trusted)
		MATCH(5, VERDICT_ACCEPT, REASON_TRUSTED_NETWORK);
	if (!f->identified)
		MATCH(6, VERDICT_REJECT, REASON_NO_CLIENT_IDENTITY);
	if (f->store == POLICY_STORE_ANSWERED && f->shared)
		MATCH(6, VERDICT_REJECT, REASON_SHARED_ADDRESS);
	if (f->store != POLICY_STORE_ANSWERED)
		MATCH(7, VERDICT_TEMPFAIL, REASON_STORE_UNAVAILABLE);
	if (f->login_active && f->sender == POLICY_SENDER_FOREIGN)
		MATCH(8, VERDICT_REJECT, REASON_SENDER_MISMATCH);
	if (f->login_active && f->sender != POLICY_SENDER_GOOD)
		MATCH(8, VERDICT_TEMPFAIL, REASON_SENDER_UNKNOWN);
	if (f->login_active && !f->within_limits)
		MATCH(9, VERDICT_TEMPFAIL, REASON_RATE_LIMITED);
	if (f->login_active)
		MATCH(10, VERDICT_ACCEPT, REASON_RECENT_LOGIN);
	/* While a collector that once ran is behind, the user of an expired
	 * login may have logged in again: that is row 12's "can't know". */
	if (f->login_seen && f->collector != POLICY_COLLECTOR_BEHIND)
		MATCH(11, VERDICT_REJECT, REASON_LOGIN_EXPIRED);
	if (f->collector != POLICY_COLLECTOR_CURRENT)
		MATCH(12, VERDICT_TEMPFAIL, REASON_COLLECTOR_BEHIND);
	MATCH(13, VERDICT_REJECT, REASON_NO_LOGIN);
#undef MATCH
}
