#include "common/policy/policy.h"

#include <assert.h>
#include <stddef.h>

#define TEST(name, condition)                          \
	static bool name(const struct policy_facts *f) \
	{                                              \
		return (condition);                    \
	}

TEST(is_ours, f->recipient_local)
TEST(is_unasked, f->store == POLICY_STORE_UNASKED)
TEST(is_denied, f->denied)
TEST(shows_too_much,
    (f->authenticated || f->certificate || f->trusted) && !f->within_limits)
TEST(is_authenticated, f->authenticated)
TEST(is_certified, f->certificate)
TEST(is_trusted, f->trusted)
TEST(is_nobody, !f->identified)
TEST(is_shared, f->store == POLICY_STORE_ANSWERED && f->shared)
TEST(is_unanswered, f->store != POLICY_STORE_ANSWERED)
TEST(sender_is_foreign, f->login_active && f->sender == POLICY_SENDER_FOREIGN)
TEST(sender_is_unknown, f->login_active && f->sender != POLICY_SENDER_GOOD)
TEST(login_has_too_much, f->login_active && !f->within_limits)
TEST(is_logged_in, f->login_active)
/* While a collector that once ran is behind, the user of an expired login may
 * have logged in again: that is row 12's "can't know". */
TEST(is_expired, f->login_seen && f->collector != POLICY_COLLECTOR_BEHIND)
TEST(is_behind, f->collector != POLICY_COLLECTOR_CURRENT)
TEST(is_anybody, f != NULL)

/* 5.7.1 and 4.7.1: delivery not authorized; 4.3.0: mail system status;
 * RFC 3463 sections 3.8 and 3.4 */
const struct policy_row policy_rows[] = {
	{ 1, VERDICT_ACCEPT, REASON_LOCAL_RECIPIENT, "", "",
	    "recipient is ours", is_ours },
	{ 2, VERDICT_ASK_STORE, REASON_STORE_UNAVAILABLE, "", "",
	    "login table isn't asked yet", is_unasked },
	{ 2, VERDICT_REJECT, REASON_DENIED, "550", "5.7.1",
	    "client or user is denied", is_denied },
	/* before the rows that would let it relay */
	{ 9, VERDICT_TEMPFAIL, REASON_RATE_LIMITED, "450", "4.7.1",
	    "rows 3 to 5, but over the limits", shows_too_much },
	{ 3, VERDICT_ACCEPT, REASON_AUTHENTICATED, "", "",
	    "SMTP AUTH succeeded", is_authenticated },
	{ 4, VERDICT_ACCEPT, REASON_CERTIFICATE, "", "",
	    "certificate on our list", is_certified },
	{ 5, VERDICT_ACCEPT, REASON_TRUSTED_NETWORK, "", "",
	    "client is in trusted_networks", is_trusted },
	{ 6, VERDICT_REJECT, REASON_NO_CLIENT_IDENTITY, "550", "5.7.1",
	    "client can't have a login of its own", is_nobody },
	{ 6, VERDICT_REJECT, REASON_SHARED_ADDRESS, "550", "5.7.1",
	    "login, but shared by too many users", is_shared },
	{ 7, VERDICT_TEMPFAIL, REASON_STORE_UNAVAILABLE, "451", "4.3.0",
	    "login table can't be read", is_unanswered },
	{ 8, VERDICT_REJECT, REASON_SENDER_MISMATCH, "553", "5.7.1",
	    "login, but not by this sender", sender_is_foreign },
	{ 8, VERDICT_TEMPFAIL, REASON_SENDER_UNKNOWN, "451", "4.3.0",
	    "login, but the sender isn't known", sender_is_unknown },
	{ 9, VERDICT_TEMPFAIL, REASON_RATE_LIMITED, "450", "4.7.1",
	    "login, but over the limits", login_has_too_much },
	{ 10, VERDICT_ACCEPT, REASON_RECENT_LOGIN, "", "", "recent login",
	    is_logged_in },
	{ 11, VERDICT_REJECT, REASON_LOGIN_EXPIRED, "550", "5.7.1",
	    "login expired a while ago", is_expired },
	{ 12, VERDICT_TEMPFAIL, REASON_COLLECTOR_BEHIND, "450", "4.7.1",
	    "collector never ran, or is behind", is_behind },
	{ 13, VERDICT_REJECT, REASON_NO_LOGIN, "550", "5.7.1", "no login",
	    is_anybody },
	{ 0, VERDICT_TEMPFAIL, REASON_AUDIT_UNAVAILABLE, "451", "4.3.0",
	    "relay, but audit can't be written", NULL },
};
const size_t policy_rows_n = sizeof(policy_rows) / sizeof(*policy_rows);

const struct policy_row *
policy_match(const struct policy_facts *facts)
{
	const struct policy_row *row = policy_rows;

	assert(facts->store <= POLICY_STORE_UNAVAILABLE);
	assert(facts->sender <= POLICY_SENDER_GOOD);
	assert(facts->collector <= POLICY_COLLECTOR_NEVER);
	while (!row->test(facts))
		row++;
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
