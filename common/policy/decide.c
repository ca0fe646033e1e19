/* SPDX-License-Identifier: ISC */
#include "common/policy/decide.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "common/base/err.h"
#include "common/config/config.h"
#include "common/db/store.h"

/* One decision on its way. */
struct deciding {
	const struct decide_question *question;
	const struct decide_ops *ops;
	void *arg;
	struct decide_answer *answer;
	bool other_family; /* a hint for the reply */
};

/* A hint, so of no matter when it can't be had. */
static bool
other_family(const struct deciding *d, struct store *st)
{
	bool ipv4, ipv6;

	return d->ops->families(d->arg, st, &ipv4, &ipv6) == 0 &&
	    facts_other_family(&d->question->q->client, ipv4, ipv6);
}

/* The questions to the table that follow from what it has on the client. */
static int
ask_further(struct deciding *d, struct store *st,
    const struct store_lookup *found, struct err *err)
{
	const struct decide_question *q = d->question;
	struct policy_facts *facts = &d->answer->facts;
	int64_t read_at;

	if (!found->active && q->cfg->relay.collector_grace_s != 0) {
		if (d->ops->read_at(d->arg, st, &read_at, err) == -1)
			return -1;
		facts->collector = facts_collector(q->cfg, read_at, q->now);
	}
	if (facts_found(st, q->cfg, q->lists, q->q, found, q->at_ms / 1000,
		facts, err) == -1)
		return -1;
	if (!facts->login_seen)
		d->other_family = other_family(d, st);
	/* of an expired login its user; of several that count, all of them */
	if (found->active)
		memcpy(d->answer->login_users, found->login_users,
		    strlen(found->login_users) + 1);
	else
		(void)userlist_add(d->answer->login_users, found->user);
	return 0;
}

static void
ask_table(struct deciding *d)
{
	const struct store_lookup *found;
	struct store *st;
	struct err err;
	bool ok;

	d->answer->facts.store = POLICY_STORE_UNAVAILABLE;
	ok = d->ops->look_up(d->arg, d->answer, &st, &found, &err) == 0 &&
	    ask_further(d, st, found, &err) == 0;
	d->ops->table_done(d->arg, ok ? NULL : &err);
}

static void
ask_breaches(struct deciding *d)
{
	struct policy_facts *facts = &d->answer->facts;
	bool by_login = facts_rests_on_login(facts);

	if (!facts->denied)
		facts->denied = d->ops->breached(d->arg,
		    by_login ? NULL : d->answer->auth_user,
		    by_login ? d->answer->login_users : NULL);
}

/* Ask the last questions about a client that may relay otherwise. */
static void
ask_record_and_limits(struct deciding *d)
{
	struct decide_answer *a = d->answer;

	assert(a->decision.verdict == VERDICT_ACCEPT);
	/* A recipient that can't be recorded isn't relayed; better said now
	 * than at DATA, where it would hold up our own recipients of the same
	 * message. */
	if (!d->ops->recordable(d->arg)) {
		a->decision.verdict = VERDICT_TEMPFAIL;
		a->decision.reason = REASON_AUDIT_UNAVAILABLE;
		return;
	}
	a->facts.within_limits = d->ops->within_limits(d->arg, a);
	a->decision = policy_decide(&a->facts);
}

/* The recipient may be ours: then even a refused client may send to it. */
static void
doubt(struct decide_answer *a)
{
	assert(a->decision.verdict != VERDICT_ASK_STORE);
	if (!a->facts.recipient_unknown ||
	    a->decision.verdict != VERDICT_REJECT)
		return;
	a->decision.verdict = VERDICT_TEMPFAIL;
	a->decision.reason = REASON_DOMAIN_UNKNOWN;
}

/* Name all of several users only where their logins let the client relay, or
 * where their own denial or limit held it back. Elsewhere any name would be a
 * guess. */
static void
drop_bystanders(struct decide_answer *answer)
{
	switch (reason_basis(answer->decision.reason)) {
	case BASIS_LOGIN:
	case BASIS_HELD_BACK:
		return;
	case BASIS_NOTHING:
	case BASIS_NO_LOGIN:
	case BASIS_RECIPIENT:
	case BASIS_AUTH:
	case BASIS_CERTIFICATE:
	case BASIS_NETWORK:
		break;
	}
	if (userlist_count(answer->login_users) > 1)
		answer->login_users[0] = '\0';
}

void
decide(const struct decide_question *q, const struct decide_ops *ops, void *arg,
    struct decide_answer *a)
{
	struct deciding d = {
		.question = q, .ops = ops, .arg = arg, .answer = a
	};

	assert(q->lists != NULL ||
	    (q->q->recipient == NULL && q->q->sender == NULL));
	a->at_ms = q->at_ms;
	a->auth_user = facts_denied_user(q->q);
	a->login_users[0] = '\0';
	a->monitored = facts_monitored(q->cfg, q->listener, &q->q->client);
	facts_ask(q->cfg, q->lists, q->own_address, q->q, &a->facts);
	a->local = a->facts.recipient_local;
	a->decision = policy_decide(&a->facts);
	if (a->decision.verdict == VERDICT_ASK_STORE) {
		ask_table(&d);
		ask_breaches(&d);
		a->decision = policy_decide(&a->facts);
		a->decision.other_family = d.other_family;
	}
	if (a->decision.verdict == VERDICT_ACCEPT && !a->local)
		ask_record_and_limits(&d);
	doubt(a);
	drop_bystanders(a);
	a->refuse = a->decision.verdict != VERDICT_ACCEPT && !a->monitored;
	reply_format(q->cfg, &a->decision, &q->q->client, q->at_ms / 1000,
	    a->code, a->status, a->text);
}
