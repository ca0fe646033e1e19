/* SPDX-License-Identifier: ISC */
/* The theorem of the policy, for all facts: who may relay has one of the named
 * rights, isn't denied and is within the limits; and what isn't known opens
 * nothing. */
#include "proof.h"

#include "common/policy/policy.c"

static struct policy_facts
any_facts(void)
{
	struct policy_facts f = { .recipient_local = nondet_bool(),
		.recipient_unknown = nondet_bool(),
		.denied = nondet_bool(),
		.authenticated = nondet_bool(),
		.certificate = nondet_bool(),
		.trusted = nondet_bool(),
		.identified = nondet_bool(),
		.shared = nondet_bool(),
		.store = (enum policy_store)(nondet_byte() % 3),
		.sender = (enum policy_sender)(nondet_byte() % 3),
		.within_limits = nondet_bool(),
		.login_active = nondet_bool(),
		.login_seen = nondet_bool(),
		.login_at = nondet_int64(),
		.expires_at = nondet_int64(),
		.collector = (enum policy_collector)(nondet_byte() % 3) };

	return f;
}

int
main(void)
{
	const struct policy_facts f = any_facts();
	const struct decision d = policy_decide(&f);
	bool of_session = f.authenticated || f.certificate || f.trusted;
	bool of_login = f.store == POLICY_STORE_ANSWERED && f.login_active &&
	    f.identified && !f.shared && f.sender == POLICY_SENDER_GOOD;

	assert(d.verdict <= VERDICT_ASK_STORE && d.reason < REASONS);
	assert((d.verdict == VERDICT_ASK_STORE) ==
	    (!f.recipient_local && f.store == POLICY_STORE_UNASKED));
	/* our own mail flows, whatever else is */
	if (f.recipient_local)
		assert(d.verdict == VERDICT_ACCEPT && d.rule == 1);
	if (f.recipient_local || d.verdict == VERDICT_ASK_STORE)
		return 0;
	/* both directions: a right lets relay, and nothing else does */
	assert((d.verdict == VERDICT_ACCEPT) ==
	    (!f.denied && f.within_limits && (of_session || of_login)));
	if (d.verdict == VERDICT_ACCEPT)
		assert(d.reason ==
		    (f.authenticated        ? REASON_AUTHENTICATED
			    : f.certificate ? REASON_CERTIFICATE
			    : f.trusted     ? REASON_TRUSTED_NETWORK
					    : REASON_RECENT_LOGIN));
	/* "can't know" is for a while, never for good */
	if (!f.denied && !of_session && f.identified && !f.shared &&
	    f.store == POLICY_STORE_UNAVAILABLE)
		assert(d.verdict == VERDICT_TEMPFAIL);
	/* each refusal has a reply */
	assert(d.verdict == VERDICT_ACCEPT ||
	    policy_match(&f)->code[0] ==
		(d.verdict == VERDICT_REJECT ? '5' : '4'));
	return 0;
}
