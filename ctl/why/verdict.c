/* SPDX-License-Identifier: ISC */
#include "ctl/why/verdict.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/own_addresses.h"
#include "ctl/out.h"
#include "ctl/record.h"
#include "ctl/times.h"

/* --- what decide() asks --- */

struct asked {
	struct ctl *ctl;
	struct store *st;
	const struct verdict_question *q;
	struct verdict_answer *a;
};

static int
ask_look_up(void *arg, const struct decide_answer *answer, struct store **st_r,
    const struct store_lookup **found_r, struct err *err)
{
	const struct asked *asked = arg;
	const struct verdict_question *q = asked->q;

	*st_r = asked->st;
	*found_r = &asked->a->found;
	if (asked->st == NULL) {
		*err = asked->a->err;
		return -1;
	}
	return store_lookup(asked->st, &q->q.client, answer->auth_user,
	    (uint8_t)asked->ctl->cfg->relay.ipv6_prefix, q->at,
	    &asked->a->found, err);
}

static int
ask_read_at(void *arg, struct store *st, int64_t *read_at_r, struct err *err)
{
	(void)arg;
	return store_sources_read_at(st, read_at_r, err);
}

static int
ask_families(void *arg, struct store *st, bool *ipv4_r, bool *ipv6_r)
{
	const struct asked *asked = arg;
	int64_t window_s = asked->ctl->cfg->logins.window_s;

	return store_families(
	    st, asked->q->at - window_s, ipv4_r, ipv6_r, NULL);
}

static void
table_done(void *arg, const struct err *err)
{
	const struct asked *asked = arg;

	asked->a->store_failed = err != NULL;
	if (err != NULL)
		asked->a->err = *err;
}

/* Is the client or user denied for a breach, as far as the audit tells? */
static bool
ask_breached(void *arg, const char *auth_user, char *login_users)
{
	const struct asked *asked = arg;
	struct breach_state *breach = &asked->a->breach;

	breach_denied(asked->ctl, asked->q->audit, &asked->q->q.client,
	    auth_user, login_users, breach);
	return breach->denied;
}

/* Only popgate-milter knows how its writing goes. */
static bool
ask_recordable(void *arg)
{
	(void)arg;
	return true;
}

/* Is there room within the limits, as far as the audit tells? */
static bool
ask_within_limits(void *arg, struct decide_answer *answer)
{
	const struct asked *asked = arg;
	struct breach_state *breach = &asked->a->breach;

	breach_usage(asked->ctl, asked->q->audit, &asked->q->q,
	    answer->decision.reason, answer->login_users, breach);
	return !breach->over;
}

static const struct decide_ops ops = {
	.look_up = ask_look_up,
	.read_at = ask_read_at,
	.families = ask_families,
	.table_done = table_done,
	.breached = ask_breached,
	.recordable = ask_recordable,
	.within_limits = ask_within_limits,
};

static bool
take_connected(void *arg, const struct store_row *row)
{
	const struct asked *asked = arg;
	struct store_row *c = &asked->a->connected;

	if (row->connected_at != 0 && row->expires_at > asked->q->at &&
	    (c->connected_at == 0 || row->connected_at < c->connected_at))
		*c = *row;
	return true;
}

static bool
is_own(const struct config *cfg, const struct addr *client)
{
	struct network_set own = { 0 };

	if (cfg->relay.never_authorize_own)
		(void)own_addresses(&own, NULL);
	bool found = network_set_contains(&own, client);

	network_set_release(&own);
	return found;
}

void
verdict_ask(struct ctl *ctl, struct store *st, const struct err *err,
    const struct facts_lists *lists, const struct verdict_question *q,
    struct verdict_answer *a)
{
	struct asked asked = { .ctl = ctl, .st = st, .q = q, .a = a };

	memset(a, 0, sizeof(*a));
	if (st == NULL && err != NULL)
		a->err = *err;
	a->own = is_own(ctl->cfg, &q->q.client);
	const struct decide_question question = { .cfg = ctl->cfg,
		.lists = lists,
		.q = &q->q,
		.own_address = a->own,
		.at_ms = q->at * 1000,
		.now = ctl->now };

	decide(&question, &ops, &asked, &a->said);
	/* beside the answer: a failure is row 7's to tell */
	if (st != NULL)
		(void)store_each_match(st, &q->q.client,
		    (uint8_t)ctl->cfg->relay.ipv6_prefix, take_connected,
		    &asked, NULL);
	/* for what is said of the collector, also where it wasn't asked about
	 */
	if (st != NULL &&
	    store_sources_read_at(st, &a->sources_read_at, NULL) == -1)
		a->sources_read_at = STORE_NEVER_READ;
}

/* --- the rows in words --- */

static void
in_set(const struct network_set *set, const struct addr *client,
    const char *key, char *words)
{
	char text[NETWORK_TEXT_MAX];

	for (size_t i = 0; i < set->n; i++)
		if (network_contains(&set->v[i], client)) {
			(void)snprintf(words, VERDICT_WORDS_MAX, "%s has %s",
			    key, network_format(&set->v[i], text));
			return;
		}
}

static void
say_recipient(const struct verdict_question *q, const struct verdict_answer *a,
    char *words)
{
	char name[200];

	if (q->q.recipient == NULL)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "asked for a recipient elsewhere");
	else
		(void)snprintf(words, VERDICT_WORDS_MAX, "%s is %s",
		    out_escape(q->q.recipient, name, sizeof(name)),
		    a->said.facts.recipient_local
			? "delivered here"
			: "none of ours: this would be relaying");
}

static void
say_identity(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a, char *words)
{
	(void)snprintf(
	    words, VERDICT_WORDS_MAX, "an address that may have logins");
	if (q->q.client.family == ADDR_NONE)
		(void)snprintf(
		    words, VERDICT_WORDS_MAX, "the address is not known");
	else if (a->own)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "one of this machine's own addresses or its gateway");
	if (a->said.facts.shared)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "shared: %u users log in from there, relay.shared_address_users is %" PRId64,
		    a->found.sharing, ctl->cfg->relay.shared_address_users);
	in_set(&ctl->cfg->relay.never_authorize, &q->q.client,
	    "relay.never_authorize", words);
	in_set(&ctl->cfg->relay.proxy_networks, &q->q.client,
	    "relay.proxy_networks", words);
}

static void
say_certificate(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a, char *words)
{
	char name[200];

	if (ctl->cfg->relay.n_certificates == 0)
		(void)snprintf(
		    words, VERDICT_WORDS_MAX, "relay.certificates is empty");
	else if (q->q.certificate == NULL)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "no certificate in this session that counts");
	else
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "%s is%s in relay.certificates",
		    out_escape(
			certificate_name(q->q.certificate), name, sizeof(name)),
		    a->said.facts.certificate ? "" : "n't");
}

static void
say_sender(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a, char *words)
{
	static const char *const bindings[] = { [SENDER_OFF] = "off",
		[SENDER_DOMAIN] = "domain",
		[SENDER_ADDRESS] = "address" };
	const char *binding = bindings[ctl->cfg->relay.sender_binding];
	const char *sender = q->q.sender;
	char name[100], user[100];

	if (!a->said.facts.login_active) {
		(void)snprintf(
		    words, VERDICT_WORDS_MAX, "no login that counts");
		return;
	}
	if (sender != NULL && *sender == '\0') {
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "the null sender: relay.null_sender is \"%s\"",
		    ctl->cfg->relay.null_sender_refused ? "reject" : "allow");
		return;
	}
	if (ctl->cfg->relay.sender_binding == SENDER_OFF) {
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "relay.sender_binding is \"off\": any sender is good");
		return;
	}
	if (q->q.any_sender || sender == NULL) {
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "asked for a sender that its user may use (relay.sender_binding is \"%s\")",
		    binding);
		return;
	}
	out_escape(sender, name, sizeof(name));
	out_escape(a->found.user, user, sizeof(user));
	if (a->found.users > 1)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "%s of those who logged in from there may send as %s (\"%s\")",
		    a->said.facts.sender == POLICY_SENDER_GOOD ? "one" : "none",
		    name, binding);
	else
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "%s %s send as %s (\"%s\")",
		    *user == '\0' ? "nobody by name" : user,
		    a->said.facts.sender == POLICY_SENDER_GOOD ? "may"
							       : "may not",
		    name, binding);
}

static void
say_login(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a, char *words)
{
	char user[101], last[TIME_TEXT_MAX], until[TIME_TEXT_MAX];
	char connected[CONNECTED_TEXT_MAX] = "";

	if (a->connected.connected_at != 0)
		(void)row_connected(&a->connected, q->at, connected);
	if (a->found.expires_at == 0) {
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "no login from there is in the table");
		return;
	}
	if (a->found.users > 1)
		(void)snprintf(user, sizeof(user), "one of several users");
	else
		out_escape(
		    *a->found.user == '\0' ? "nobody by name" : a->found.user,
		    user, sizeof(user));
	time_past(a->found.last_at, q->at, last);
	time_both(a->found.expires_at, q->at, until);
	(void)snprintf(words, VERDICT_WORDS_MAX,
	    "%.90s, last login %.44s, %.60s%s%s %.44s%s", user, last, connected,
	    *connected == '\0' ? "" : ", ",
	    a->found.expires_at > q->at ? "counts until" : "expired", until,
	    facts_shared(ctl->cfg, a->found.sharing)
		? "; shared by too many users"
		: "");
}

static void
say_limits(const struct ctl *ctl, const struct verdict_answer *a, char *words)
{
	if (a->said.decision.verdict != VERDICT_ACCEPT &&
	    a->said.decision.rule != 9)
		(void)snprintf(words, VERDICT_WORDS_MAX, "%s",
		    a->said.facts.login_active ? "not asked"
					       : "no login that counts");
	else if (!a->breach.counts)
		(void)snprintf(words, VERDICT_WORDS_MAX, "not limited");
	else if (!a->breach.known)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "not known: the record of decisions can't be read");
	else
		(void)breach_usage_words(
		    ctl->cfg, &a->breach, words, VERDICT_WORDS_MAX);
}

static void
say_collector(
    const struct ctl *ctl, const struct verdict_answer *a, char *words)
{
	char when[TIME_TEXT_MAX], grace[24];

	duration_format(ctl->cfg->relay.collector_grace_s, grace);
	if (ctl->cfg->relay.collector_grace_s == 0)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "not asked: relay.collector_grace is 0");
	else if (a->sources_read_at == 0)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "popgate-collector has never read a log");
	else if (a->sources_read_at == STORE_NEVER_READ)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "a log was never read to its end: see 'popgatectl status'");
	else
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "the logs were read %s; relay.collector_grace is %s",
		    time_past(a->sources_read_at, ctl->now, when), grace);
}

static void
say(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a, enum reason reason, char *words)
{
	*words = '\0';
	switch (reason) {
	case REASON_LOCAL_RECIPIENT:
		say_recipient(q, a, words);
		break;
	case REASON_DENIED:
		(void)snprintf(words, VERDICT_WORDS_MAX, "%s",
		    a->store_failed        ? "not known: see row 7"
			: a->found.denied  ? "popgatectl deny --list says why"
			: a->breach.denied ? a->breach.denial
			: a->said.facts.denied
			? "all who logged in from there are"
			: "nobody denied it");
		break;
	case REASON_AUTHENTICATED:
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    q->q.auth_user == NULL ? "no SMTP AUTH in this session"
					   : "SMTP AUTH succeeded");
		break;
	case REASON_CERTIFICATE:
		say_certificate(ctl, q, a, words);
		break;
	case REASON_TRUSTED_NETWORK:
		(void)snprintf(
		    words, VERDICT_WORDS_MAX, "none of relay.trusted_networks");
		in_set(&ctl->cfg->relay.trusted_networks, &q->q.client,
		    "relay.trusted_networks", words);
		break;
	case REASON_NO_CLIENT_IDENTITY:
	case REASON_SHARED_ADDRESS:
		say_identity(ctl, q, a, words);
		break;
	case REASON_STORE_UNAVAILABLE:
		if (a->store_failed)
			out_escape(a->err.text, words, VERDICT_WORDS_MAX);
		else
			(void)snprintf(words, VERDICT_WORDS_MAX,
			    "%.200s was read", ctl->cfg->logins.database);
		break;
	case REASON_SENDER_MISMATCH:
	case REASON_SENDER_UNKNOWN:
		say_sender(ctl, q, a, words);
		break;
	case REASON_RATE_LIMITED:
		say_limits(ctl, a, words);
		break;
	case REASON_AUDIT_UNAVAILABLE:
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "popgate-milter alone knows how its writing goes");
		break;
	case REASON_DOMAIN_UNKNOWN:
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "relay.local_domains can't tell whether the recipient is ours");
		break;
	case REASON_NO_LOGIN:
	case REASON_RECENT_LOGIN:
	case REASON_LOGIN_EXPIRED:
		say_login(ctl, q, a, words);
		break;
	case REASON_COLLECTOR_BEHIND:
		say_collector(ctl, a, words);
		break;
	case REASONS:
		break;
	}
}

/* The row that asks for the login table is none to an admin. Row 9 stands
 * early, too, for what the session shows: it is a row only where that is
 * limited. */
static bool
is_shown(const struct verdict_answer *a, const struct policy_row *row)
{
	bool early = row == policy_refusal(REASON_RATE_LIMITED);
	bool limited = a->breach.counts &&
	    (a->said.facts.authenticated || a->said.facts.certificate ||
		a->said.facts.trusted);

	return row->verdict != VERDICT_ASK_STORE && (!early || limited);
}

int
verdict_rows(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a, struct verdict_row *rows)
{
	const struct policy_row *last = policy_match(&a->said.facts);
	int n = 0;

	for (const struct policy_row *row = policy_rows; row <= last; row++) {
		bool again = n > 0 && rows[n - 1].n == row->n;

		if (!is_shown(a, row) || (again && row != last))
			continue;
		if (again)
			n--;
		assert(n < POLICY_ROWS_MAX);
		rows[n] = (struct verdict_row){
			.n = row->n,
			.condition = row->condition,
			.matched = row == last,
		};
		say(ctl, q, a, row->reason, rows[n++].words);
	}
	return n;
}
