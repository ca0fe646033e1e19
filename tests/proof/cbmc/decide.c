/* SPDX-License-Identifier: ISC */
/* The order of decide(), over the real policy, for any answers to its
 * questions: a recipient elsewhere is accepted only after the table, where it
 * is asked, has answered, nobody is kept out, the relay can be recorded, and
 * there was room within the limits; and only by a right that was found. */
#include "proof.h"

#include "common/policy/decide.c"
#include "common/policy/policy.c"

static struct {
	bool looked, answered, asked, kept_out, identified, recorded, room,
	    local, session, login;
} said;

/* --- what is found out is anything that facts.h allows --- */

void
facts_ask(const struct config *cfg, const struct facts_lists *lists,
    bool own_address, const struct facts_question *q,
    struct policy_facts *facts)
{
	(void)cfg;
	(void)lists;
	(void)own_address;
	(void)q;
	*facts = (struct policy_facts){
		.recipient_local = nondet_bool(),
		.recipient_unknown = nondet_bool(),
		.authenticated = nondet_bool(),
		.certificate = nondet_bool(),
		.trusted = nondet_bool(),
		.identified = nondet_bool(),
		.store = POLICY_STORE_UNASKED,
		.sender = (enum policy_sender)(nondet_byte() % 3),
		.within_limits = true,
	};
	said.local = facts->recipient_local;
	said.identified = facts->identified;
	said.session =
	    facts->authenticated || facts->certificate || facts->trusted;
}

int
facts_found(struct store *st, const struct config *cfg,
    const struct facts_lists *lists, const struct facts_question *q,
    const struct store_lookup *found, int64_t now, struct policy_facts *facts,
    struct err *err)
{
	if (nondet_bool())
		return -1;
	facts->store = POLICY_STORE_ANSWERED;
	facts->denied = nondet_bool();
	facts->shared = nondet_bool();
	facts->login_active = found->active;
	facts->login_seen = nondet_bool();
	said.login = found->active;
	said.answered = true;
	return 0;
}

bool
facts_rests_on_login(const struct policy_facts *facts)
{
	return facts->login_active && !facts->authenticated &&
	    !facts->certificate && !facts->trusted;
}

bool
facts_monitored(
    const struct config *cfg, const char *listener, const struct addr *client)
{
	return nondet_bool();
}

const char *
facts_denied_user(const struct facts_question *q)
{
	return nondet_bool() ? "u" : NULL;
}

bool
facts_other_family(const struct addr *client, bool ipv4, bool ipv6)
{
	return nondet_bool();
}

enum policy_collector
facts_collector(const struct config *cfg, int64_t read_at, int64_t now)
{
	return (enum policy_collector)(nondet_byte() % 3);
}

bool
userlist_add(char *list, const char *user)
{
	return nondet_bool();
}

unsigned
userlist_count(const char *list)
{
	return nondet_unsigned();
}

void
reply_format(const struct config *cfg, const struct decision *decision,
    const struct addr *client, int64_t now, char *code, char *status,
    char *text)
{
	*code = *status = *text = '\0';
}

/* --- the questions --- */

static int
look_up(void *arg, const struct decide_answer *answer, struct store **st_r,
    const struct store_lookup **found_r, struct err *err)
{
	static struct store_lookup found;

	found.active = nondet_bool();
	*st_r = NULL;
	*found_r = &found;
	said.looked = true;
	return nondet_bool() ? 0 : -1;
}

static int
read_at(void *arg, struct store *st, int64_t *read_at_r, struct err *err)
{
	*read_at_r = nondet_int64();
	return nondet_bool() ? 0 : -1;
}

static int
families(void *arg, struct store *st, bool *ipv4_r, bool *ipv6_r)
{
	*ipv4_r = nondet_bool();
	*ipv6_r = nondet_bool();
	return nondet_bool() ? 0 : -1;
}

static void
table_done(void *arg, const struct err *err)
{
	if (err != NULL)
		said.answered = false;
}

static bool
breached(void *arg, const char *auth_user, char *login_users)
{
	said.asked = true;
	return said.kept_out = nondet_bool();
}

static bool
recordable(void *arg)
{
	return said.recorded = nondet_bool();
}

static bool
within_limits(void *arg, struct decide_answer *answer)
{
	return said.room = nondet_bool();
}

int
main(void)
{
	static const struct decide_ops ops = { look_up, read_at, families,
		table_done, breached, recordable, within_limits };
	static struct config cfg;
	static struct facts_lists lists;
	static struct facts_question q;
	struct decide_question question = {
		.cfg = &cfg, .lists = &lists, .q = &q
	};
	struct decide_answer a;

	cfg.relay.collector_grace_s = nondet_int64();
	decide(&question, &ops, NULL, &a);
	assert(a.local == said.local);
	assert(a.decision.verdict <= VERDICT_TEMPFAIL);
	assert(
	    a.refuse == (a.decision.verdict != VERDICT_ACCEPT && !a.monitored));
	if (a.local)
		assert(a.decision.verdict == VERDICT_ACCEPT && !said.looked);
	else if (a.decision.verdict == VERDICT_ACCEPT)
		assert(said.looked && said.asked && !said.kept_out &&
		    said.recorded && said.room &&
		    (said.session || (said.answered && said.login)));
	/* a table that can't be read refuses nobody for good */
	if (said.looked && !said.answered && !said.kept_out && !said.session &&
	    said.identified)
		assert(a.decision.verdict == VERDICT_TEMPFAIL);
	return 0;
}
