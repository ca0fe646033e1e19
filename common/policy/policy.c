/* SPDX-License-Identifier: ISC */
#include "common/policy/policy.h"

#include <assert.h>
#include <stddef.h>

#include "common/config/config.h"

/* In parentheses, so that a row has as many arguments before as after its
 * macros are expanded: cppcheck counts them after. */
#define ACCEPTED ("", "", 0)
#define REPLY(code, status, text) \
	((code), (status), offsetof(struct config, reply.text))
#define PARTS(...) __VA_ARGS__

/* The rows in their order: number, verdict, reason, reply with its template,
 * condition in words, condition of the facts f. A macro, so that matching is a
 * chain of comparisons: it is done up to three times for each recipient.
 *   5.7.1, 4.7.1: delivery not authorized; 4.3.0: mail system status;
 *   RFC 3463 sections 3.8 and 3.4
 * Row 9 stands before whatever would let the client relay. While a collector
 * that once ran is behind, the user of an expired login may have logged in
 * again: that is row 12's "can't know", and not row 11. */
#define POLICY_ROWS(ROW)                                                       \
	ROW(1, ACCEPT, LOCAL_RECIPIENT, ACCEPTED, "recipient is ours",         \
	    f->recipient_local)                                                \
	ROW(2, ASK_STORE, STORE_UNAVAILABLE, ACCEPTED,                         \
	    "login table isn't asked yet", f->store == POLICY_STORE_UNASKED)   \
	ROW(2, REJECT, DENIED, REPLY("550", "5.7.1", denied),                  \
	    "client or user is denied", f->denied)                             \
	ROW(9, TEMPFAIL, RATE_LIMITED, REPLY("450", "4.7.1", rate_limited),    \
	    "rows 3 to 5, but over the limits",                                \
	    (f->authenticated || f->certificate || f->trusted) &&              \
		!f->within_limits)                                             \
	ROW(3, ACCEPT, AUTHENTICATED, ACCEPTED, "SMTP AUTH succeeded",         \
	    f->authenticated)                                                  \
	ROW(4, ACCEPT, CERTIFICATE, ACCEPTED, "certificate on our list",       \
	    f->certificate)                                                    \
	ROW(5, ACCEPT, TRUSTED_NETWORK, ACCEPTED,                              \
	    "client is in trusted_networks", f->trusted)                       \
	ROW(6, REJECT, NO_CLIENT_IDENTITY,                                     \
	    REPLY("550", "5.7.1", no_client_identity),                         \
	    "client can't have a login of its own", !f->identified)            \
	ROW(6, REJECT, SHARED_ADDRESS, REPLY("550", "5.7.1", shared_address),  \
	    "login, but shared by too many users",                             \
	    f->store == POLICY_STORE_ANSWERED && f->shared)                    \
	ROW(7, TEMPFAIL, STORE_UNAVAILABLE,                                    \
	    REPLY("451", "4.3.0", unavailable), "login table can't be read",   \
	    f->store != POLICY_STORE_ANSWERED)                                 \
	ROW(8, REJECT, SENDER_MISMATCH,                                        \
	    REPLY("553", "5.7.1", sender_mismatch),                            \
	    "login, but not by this sender",                                   \
	    f->login_active && f->sender == POLICY_SENDER_FOREIGN)             \
	ROW(8, TEMPFAIL, SENDER_UNKNOWN, REPLY("451", "4.3.0", unavailable),   \
	    "login, but the sender isn't known",                               \
	    f->login_active && f->sender != POLICY_SENDER_GOOD)                \
	ROW(9, TEMPFAIL, RATE_LIMITED, REPLY("450", "4.7.1", rate_limited),    \
	    "login, but over the limits",                                      \
	    f->login_active && !f->within_limits)                              \
	ROW(10, ACCEPT, RECENT_LOGIN, ACCEPTED, "recent login",                \
	    f->login_active)                                                   \
	ROW(11, REJECT, LOGIN_EXPIRED, REPLY("550", "5.7.1", login_expired),   \
	    "login expired a while ago",                                       \
	    f->login_seen && f->collector != POLICY_COLLECTOR_BEHIND)          \
	ROW(12, TEMPFAIL, COLLECTOR_BEHIND,                                    \
	    REPLY("450", "4.7.1", collector_behind),                           \
	    "collector never ran, or is behind",                               \
	    f->collector != POLICY_COLLECTOR_CURRENT)                          \
	ROW(13, REJECT, NO_LOGIN, REPLY("550", "5.7.1", no_login), "no login", \
	    true)                                                              \
	ROW(0, TEMPFAIL, AUDIT_UNAVAILABLE,                                    \
	    REPLY("451", "4.3.0", unavailable),                                \
	    "relay, but audit can't be written",                               \
	    false) /* decide() puts it in place of an accept */                \
	ROW(0, TEMPFAIL, DOMAIN_UNKNOWN, REPLY("451", "4.3.0", unavailable),   \
	    "refused, but recipient may be ours",                              \
	    false) /* decide() puts it in place of a reject */

const struct policy_row policy_rows[] = {
#define ROW(n, verdict, reason, reply, words, test) \
	{ (n), VERDICT_##verdict, REASON_##reason, PARTS reply, (words) },
	POLICY_ROWS(ROW)
#undef ROW
};
const size_t policy_rows_n = sizeof(policy_rows) / sizeof(*policy_rows);

const struct policy_row *
policy_match(const struct policy_facts *f)
{
	const struct policy_row *row = policy_rows;

	assert(f->store <= POLICY_STORE_UNAVAILABLE);
	assert(f->sender <= POLICY_SENDER_GOOD);
	assert(f->collector <= POLICY_COLLECTOR_NEVER);
#define ROW(n, verdict, reason, reply, words, test) \
	if (test)                                   \
		return row;                         \
	row++;
	POLICY_ROWS(ROW)
#undef ROW
	assert(false); /* row 13 matches all facts */
	return row;
}

struct decision
policy_decide(const struct policy_facts *facts)
{
	const struct policy_row *row = policy_match(facts);

	return (struct decision){
		.verdict = row->verdict,
		.reason = row->reason,
		.rule = row->n,
		.login_at = facts->login_at,
		.expires_at = facts->expires_at,
	};
}

const struct policy_row *
policy_refusal(enum reason reason)
{
	for (size_t i = 0; i < policy_rows_n; i++)
		if (policy_rows[i].reason == reason &&
		    policy_rows[i].code[0] != '\0')
			return &policy_rows[i];
	return NULL;
}
