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

enum verdict
verdict_monitored(enum verdict verdict)
{
	return verdict == VERDICT_REJECT  ? VERDICT_WOULD_REJECT
	    : verdict == VERDICT_TEMPFAIL ? VERDICT_WOULD_TEMPFAIL
					  : verdict;
}

const char *
verdict_name(enum verdict verdict)
{
	static const char *const names[] = { [VERDICT_ACCEPT] = "accept",
		[VERDICT_REJECT] = "reject",
		[VERDICT_TEMPFAIL] = "tempfail",
		[VERDICT_WOULD_REJECT] = "would-reject",
		[VERDICT_WOULD_TEMPFAIL] = "would-tempfail",
		[VERDICT_ASK_STORE] = "ask-store" };

	return names[verdict];
}

const char *
reason_name(enum reason reason)
{
	static const char *const names[REASONS] = { [REASON_LOCAL_RECIPIENT] =
							"local-recipient",
		[REASON_DENIED] = "denied",
		[REASON_AUTHENTICATED] = "authenticated",
		[REASON_CERTIFICATE] = "certificate",
		[REASON_TRUSTED_NETWORK] = "trusted-network",
		[REASON_NO_CLIENT_IDENTITY] = "no-client-identity",
		[REASON_SHARED_ADDRESS] = "shared-address",
		[REASON_STORE_UNAVAILABLE] = "store-unavailable",
		[REASON_SENDER_MISMATCH] = "sender-mismatch",
		[REASON_SENDER_UNKNOWN] = "sender-unknown",
		[REASON_RATE_LIMITED] = "rate-limited",
		[REASON_RECENT_LOGIN] = "recent-login",
		[REASON_LOGIN_EXPIRED] = "login-expired",
		[REASON_COLLECTOR_BEHIND] = "collector-behind",
		[REASON_NO_LOGIN] = "no-login",
		[REASON_AUDIT_UNAVAILABLE] = "audit-unavailable" };

	return names[reason];
}
