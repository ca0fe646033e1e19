#include "ctl/why/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/own_addresses.h"
#include "ctl/out.h"
#include "ctl/times.h"

static void
ask_store(struct ctl *ctl, struct store *st, const struct facts_lists *lists,
    const struct verdict_question *q, struct verdict_answer *a)
{
	a->facts.store = POLICY_STORE_UNAVAILABLE;
	a->store_failed = true;
	if (st == NULL ||
	    store_lookup(st, &q->q.client, facts_denied_user(&q->q),
		(uint8_t)ctl->cfg->relay.ipv6_prefix, q->at, &a->found,
		&a->err) == -1 ||
	    store_sources_read_at(st, &a->sources_read_at, &a->err) == -1 ||
	    facts_found(st, ctl->cfg, lists, &q->q, &a->found, q->at, &a->facts,
		&a->err) == -1)
		return;
	a->store_failed = false;
	a->facts.collector =
	    facts_collector(ctl->cfg, a->sources_read_at, ctl->now);
}

/* Rows 2 and 9, as far as they can be known from the audit. */
static void
ask_limits(
    struct ctl *ctl, const struct verdict_question *q, struct verdict_answer *a)
{
	const char *login_users = a->found.login_users;
	bool by_login = facts_rests_on_login(&a->facts);

	breach_denied(ctl, q->audit, &q->q.client,
	    by_login ? NULL : facts_denied_user(&q->q),
	    by_login ? login_users : NULL, &a->breach);
	a->facts.denied = a->facts.denied || a->breach.denied;
	a->decision = policy_decide(&a->facts);
	if (a->decision.verdict != VERDICT_ACCEPT)
		return;
	breach_usage(
	    ctl, q->audit, &q->q, a->decision.reason, login_users, &a->breach);
	a->facts.within_limits = !a->breach.over;
	a->decision = policy_decide(&a->facts);
}

void
verdict_ask(struct ctl *ctl, struct store *st, const struct err *err,
    const struct facts_lists *lists, const struct verdict_question *q,
    struct verdict_answer *a)
{
	const struct config *cfg = ctl->cfg;
	struct network_set own = { 0 };

	memset(a, 0, sizeof(*a));
	if (st == NULL && err != NULL)
		a->err = *err;
	if (cfg->relay.never_authorize_own)
		(void)own_addresses(&own, NULL);
	facts_ask(cfg, lists, &own, &q->q, &a->facts);
	if (q->any_sender)
		a->facts.sender = POLICY_SENDER_GOOD;
	a->own = network_set_contains(&own, &q->q.client);
	network_set_release(&own);
	a->decision = policy_decide(&a->facts);
	if (a->decision.verdict == VERDICT_ASK_STORE) {
		bool ipv4 = false, ipv6 = false;

		ask_store(ctl, st, lists, q, a);
		ask_limits(ctl, q, a);
		if (!a->store_failed &&
		    store_families(st, q->at - cfg->logins.window_s, &ipv4,
			&ipv6, NULL) == 0)
			a->decision.other_family =
			    facts_other_family(&q->q.client, ipv4, ipv6);
	}
	reply_format(cfg, &a->decision, &q->q.client, q->at, a->code, a->status,
	    a->text);
}

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
		    a->facts.recipient_local
			? "delivered here"
			: "none of ours: this would be relaying");
}

static void
say_identity(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a, char *words)
{
	(void)snprintf(words, VERDICT_WORDS_MAX,
	    "an address that may have "
	    "logins");
	if (q->q.client.family == ADDR_NONE)
		(void)snprintf(
		    words, VERDICT_WORDS_MAX, "the address is not known");
	else if (a->own)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "one of this "
		    "machine's own addresses or its gateway");
	if (a->facts.shared)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "shared: %u users "
		    "log in from there, relay.shared_address_users is %" PRId64,
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
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "relay.certificates "
		    "is empty");
	else if (q->q.certificate == NULL)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "no certificate in "
		    "this session that counts");
	else
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "%s is%s in "
		    "relay.certificates",
		    out_escape(
			certificate_name(q->q.certificate), name, sizeof(name)),
		    a->facts.certificate ? "" : "n't");
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

	if (!a->facts.login_active) {
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "no login that "
		    "counts");
		return;
	}
	if (sender != NULL && *sender == '\0') {
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "the null sender: "
		    "relay.null_sender is \"%s\"",
		    ctl->cfg->relay.null_sender_refused ? "reject" : "allow");
		return;
	}
	if (ctl->cfg->relay.sender_binding == SENDER_OFF) {
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "relay."
		    "sender_binding is \"off\": any sender is good");
		return;
	}
	if (q->any_sender || sender == NULL) {
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "asked for a sender "
		    "that its user may use (relay.sender_binding is \"%s\")",
		    binding);
		return;
	}
	out_escape(sender, name, sizeof(name));
	out_escape(a->found.user, user, sizeof(user));
	if (a->found.users > 1)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "%s of those who "
		    "logged in from there may send as %s (\"%s\")",
		    a->facts.sender == POLICY_SENDER_GOOD ? "one" : "none",
		    name, binding);
	else
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "%s %s send as %s "
		    "(\"%s\")",
		    *user == '\0' ? "nobody by name" : user,
		    a->facts.sender == POLICY_SENDER_GOOD ? "may" : "may not",
		    name, binding);
}

static void
say_login(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a, char *words)
{
	char user[101], last[TIME_TEXT_MAX], until[TIME_TEXT_MAX];

	if (a->found.expires_at == 0) {
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "no login from there "
		    "is in the table");
		return;
	}
	if (a->found.users > 1)
		(void)snprintf(user, sizeof(user), "one of several users");
	else
		out_escape(
		    *a->found.user == '\0' ? "nobody by name" : a->found.user,
		    user, sizeof(user));
	time_both(a->found.last_at, q->at, last);
	time_both(a->found.expires_at, q->at, until);
	(void)snprintf(words, VERDICT_WORDS_MAX,
	    "%.100s, last login %s, "
	    "%s %s%s",
	    user, last,
	    a->found.expires_at > q->at ? "counts until" : "expired", until,
	    facts_shared(ctl->cfg, a->found.sharing)
		? "; shared by too many users"
		: "");
}

static void
say_limits(const struct ctl *ctl, const struct verdict_answer *a, char *words)
{
	if (a->decision.verdict != VERDICT_ACCEPT && a->decision.rule != 9)
		(void)snprintf(words, VERDICT_WORDS_MAX, "%s",
		    a->facts.login_active ? "not asked"
					  : "no login that counts");
	else if (!a->breach.counts)
		(void)snprintf(words, VERDICT_WORDS_MAX, "not limited");
	else if (!a->breach.known)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "not known: the "
		    "record of decisions can't be read");
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
		    "not asked: "
		    "relay.collector_grace is 0");
	else if (a->sources_read_at == 0)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "popgate-collector "
		    "has never read a log");
	else if (a->sources_read_at == STORE_NEVER_READ)
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "a log was never "
		    "read to its end: see 'popgatectl status'");
	else
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    "the logs were read "
		    "%s; relay.collector_grace is %s",
		    time_both(a->sources_read_at, ctl->now, when), grace);
}

static void
say(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a, struct verdict_row *row)
{
	char *words = row->words;

	(void)snprintf(words, VERDICT_WORDS_MAX, "-");
	switch (row->n) {
	case 1:
		say_recipient(q, a, words);
		break;
	case 2:
		(void)snprintf(words, VERDICT_WORDS_MAX, "%s",
		    a->store_failed        ? "not known: see row 7"
			: a->found.denied  ? "popgatectl deny --list says why"
			: a->breach.denied ? a->breach.denial
			: a->facts.denied  ? "all who logged in from there are"
					   : "nobody denied it");
		break;
	case 3:
		(void)snprintf(words, VERDICT_WORDS_MAX,
		    q->q.auth_user == NULL ? "no SMTP AUTH in this session"
					   : "SMTP AUTH succeeded");
		break;
	case 4:
		say_certificate(ctl, q, a, words);
		break;
	case 5:
		(void)snprintf(
		    words, VERDICT_WORDS_MAX, "none of relay.trusted_networks");
		in_set(&ctl->cfg->relay.trusted_networks, &q->q.client,
		    "relay.trusted_networks", words);
		break;
	case 6:
		say_identity(ctl, q, a, words);
		break;
	case 7:
		if (a->store_failed)
			out_escape(a->err.text, words, VERDICT_WORDS_MAX);
		else
			(void)snprintf(words, VERDICT_WORDS_MAX,
			    "%.200s was "
			    "read",
			    ctl->cfg->logins.database);
		break;
	case 8:
		say_sender(ctl, q, a, words);
		break;
	case 9:
		say_limits(ctl, a, words);
		break;
	case 10:
	case 11:
		say_login(ctl, q, a, words);
		break;
	case 12:
		say_collector(ctl, a, words);
		break;
	default:
		break;
	}
}

static void
add_row(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a, int n, const char *condition,
    struct verdict_row *row)
{
	row->n = n;
	row->condition = condition;
	row->matched = n == a->decision.rule;
	say(ctl, q, a, row);
}

int
verdict_rows(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a, struct verdict_row *rows)
{
	/* the rows that this version's policy_decide() has */
	static const struct {
		int n;
		const char *condition;
	} table[] = { { 1, "recipient is ours" },
		{ 2, "client or user is denied" }, { 3, "SMTP AUTH succeeded" },
		{ 4, "certificate on our list" },
		{ 5, "client is in trusted_networks" },
		{ 6, "client can't have a login of its own" },
		{ 7, "login table can't be read" },
		{ 8, "login, but not by this sender" },
		{ 9, "login, but over the limits" }, { 10, "recent login" },
		{ 11, "login expired a while ago" },
		{ 12, "collector is not alive or behind" },
		{ 13, "no login" } };
	/* before rows 3 to 5 where what they accept is limited */
	bool early = a->breach.counts &&
	    (a->facts.authenticated || a->facts.certificate ||
		a->facts.trusted);
	int n = 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		bool now = early && table[i].n == 2;

		if (table[i].n > a->decision.rule ||
		    (n > 0 && rows[n - 1].matched))
			break;
		add_row(ctl, q, a, table[i].n, table[i].condition, &rows[n++]);
		if (now)
			add_row(ctl, q, a, 9, "over the limits", &rows[n++]);
	}
	return n;
}
