/* SPDX-License-Identifier: ISC */
#include "common/policy/facts.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/config/config.h"
#include "common/db/store.h"
#include "common/policy/rcpt.h"

int
facts_lists_load(
    const struct config *cfg, struct facts_lists *lists, struct err *err)
{
	char where[CONFIG_WHERE_MAX];

	*lists = (struct facts_lists){ .senders = { .user_name = false } };
	if (domains_load(&cfg->relay.local_domains, &lists->domains, err) ==
	    -1) {
		err_locate(
		    err, config_where(cfg, "relay.local_domains", where));
		return -1;
	}
	/* not in use: no reason to refuse a configuration */
	if (cfg->relay.sender_binding == SENDER_OFF ||
	    senders_load(&cfg->relay.sender_addresses, &lists->senders, err) ==
		0)
		return 0;
	err_locate(err, config_where(cfg, "relay.sender_addresses", where));
	facts_lists_release(lists);
	return -1;
}

void
facts_lists_release(struct facts_lists *lists)
{
	domains_release(&lists->domains);
	senders_release(&lists->senders);
}

void
facts_domains(const struct config *cfg, const struct facts_lists *lists,
    void (*say)(void *arg, const char *text), void *arg)
{
	const struct string_list *list = &lists->domains.warnings;
	char where[CONFIG_WHERE_MAX], text[CONFIG_WHERE_MAX + 1000];

	for (size_t i = 0; i < list->n; i++) {
		(void)snprintf(text, sizeof(text), "%s: %s",
		    config_where(cfg, "relay.local_domains", where),
		    list->v[i]);
		say(arg, text);
	}
}

/* RFC 4422, section 3.1, in either case */
static bool
is_mechanism(const char *name)
{
	enum { MECHANISM_MAX = 20 };

	if (*name == '\0') /* as in most sessions: strspn() costs more */
		return false;
	size_t len = strspn(name,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-_");

	return len <= MECHANISM_MAX && name[len] == '\0';
}

void
facts_open_relay(const struct config *cfg,
    void (*say)(void *arg, const char *text), void *arg)
{
	const struct network_set *set = &cfg->relay.trusted_networks;
	char where[CONFIG_WHERE_MAX], net[NETWORK_TEXT_MAX];
	char text[CONFIG_WHERE_MAX + 120];

	for (size_t i = 0; i < set->n; i++) {
		const struct network *n = &set->v[i];

		if (n->bits >= (n->base.family == ADDR_IPV4 ? 8 : 16))
			continue;
		(void)snprintf(text, sizeof(text),
		    "%s: %s may relay without a login: that is an open relay",
		    config_where(cfg, "relay.trusted_networks", where),
		    network_format(n, net));
		say(arg, text);
	}
}

static bool
is_postfix(const struct config *cfg)
{
	const struct string_list *list = &cfg->relay.local_domains;

	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], "postfix") == 0 ||
		    strncmp(list->v[i], "postfix:", 8) == 0)
			return true;
	return false;
}

void
facts_socketmap(const struct config *cfg, bool sure,
    void (*say)(void *arg, const char *text), void *arg)
{
	if (*cfg->permit.socketmap == '\0' || *cfg->permit.policy != '\0' ||
	    (sure && !is_postfix(cfg)))
		return;
	if (cfg->relay.sender_binding != SENDER_OFF)
		say(arg,
		    "relay.sender_binding: Postfix doesn't tell a socketmap the sender, so its clients get a temporary failure; it needs permit.policy (Sendmail's map is told)");
	if (cfg->relay.n_certificates > 0)
		say(arg,
		    "relay.certificates: Postfix doesn't tell a socketmap the client's certificate, by name or by digest, so its clients get the refusal of a client without a login; it needs permit.policy (Sendmail's map is told)");
}

bool
facts_authenticated(const struct facts_question *q)
{
	return q->auth_type != NULL && is_mechanism(q->auth_type) &&
	    strcasecmp(q->auth_type, "ANONYMOUS") != 0 &&
	    q->auth_user != NULL && *q->auth_user != '\0';
}

const char *
facts_denied_user(const struct facts_question *q)
{
	return facts_authenticated(q) ? q->auth_user : NULL;
}

bool
facts_monitored(
    const struct config *cfg, const char *listener, const struct addr *client)
{
	const struct string_list *list = &cfg->relay.monitor_listeners;

	if (cfg->relay.mode != RELAY_ENFORCE ||
	    network_set_contains(&cfg->relay.monitor_networks, client))
		return true;
	for (size_t i = 0; listener != NULL && i < list->n; i++)
		if (strcmp(list->v[i], listener) == 0)
			return true;
	return false;
}

enum fate
facts_refused_address(const struct config *cfg, const struct network_set *own,
    const struct addr *client)
{
	if (network_set_contains(&cfg->relay.never_authorize, client))
		return FATE_NEVER_AUTHORIZE;
	if (cfg->relay.never_authorize_own && own != NULL &&
	    network_set_contains(own, client))
		return FATE_OWN_ADDRESS;
	if (network_set_contains(&cfg->relay.proxy_networks, client))
		return FATE_PROXY;
	return FATE_NONE;
}

/* Row 6: an address that many share, or that is ourselves, proves nothing. */
static bool
has_identity(
    const struct config *cfg, bool own_address, const struct addr *client)
{
	return client->family != ADDR_NONE && !own_address &&
	    facts_refused_address(cfg, NULL, client) == FATE_NONE;
}

/* Row 8, as far as it doesn't take a user: UNKNOWN then. */
static enum policy_sender
sender_fact(const struct config *cfg, const struct facts_question *q)
{
	const char *sender = q->sender;

	if (q->any_sender)
		return POLICY_SENDER_GOOD;
	if (sender != NULL && *sender == '\0')
		return cfg->relay.null_sender_refused ? POLICY_SENDER_FOREIGN
						      : POLICY_SENDER_GOOD;
	if (cfg->relay.sender_binding == SENDER_OFF &&
	    (sender != NULL || !cfg->relay.null_sender_refused))
		return POLICY_SENDER_GOOD;
	return POLICY_SENDER_UNKNOWN;
}

bool
facts_ready(const struct config *cfg, const struct facts_lists *lists,
    const struct facts_question *q)
{
	return rcpt_ask(q->recipient, q->mailer, &cfg->relay.local_mailers,
		   &lists->domains, false) != DOMAIN_PENDING;
}

void
facts_ask(const struct config *cfg, const struct facts_lists *lists,
    bool own_address, const struct facts_question *q,
    struct policy_facts *facts)
{
	assert(lists != NULL || q->recipient == NULL);
	enum domain_answer whose = q->recipient == NULL
	    ? DOMAIN_FOREIGN
	    : rcpt_ask(q->recipient, q->mailer, &cfg->relay.local_mailers,
		  &lists->domains, true);

	*facts = (struct policy_facts){ .recipient_local = whose == DOMAIN_OURS,
		.recipient_unknown = whose == DOMAIN_UNKNOWN,
		.authenticated = facts_authenticated(q),
		.certificate = q->vouched ||
		    (q->certificate != NULL &&
			certificate_listed(cfg->relay.certificates,
			    cfg->relay.n_certificates, q->certificate)),
		.trusted = network_set_contains(
		    &cfg->relay.trusted_networks, &q->client),
		.identified = has_identity(cfg, own_address, &q->client),
		.store = POLICY_STORE_UNASKED,
		.sender = sender_fact(cfg, q),
		.within_limits = true };
}

bool
facts_rests_on_login(const struct policy_facts *facts)
{
	return facts->login_active && !facts->authenticated &&
	    !facts->certificate && !facts->trusted;
}

bool
facts_shared(const struct config *cfg, int64_t users)
{
	return cfg->relay.shared_address_users > 0 &&
	    users > cfg->relay.shared_address_users;
}

struct bound {
	const struct config *cfg;
	const struct sender_set *senders;
	const char *sender;
	bool good;
};

static bool
ask_user(void *arg, const char *user)
{
	struct bound *b = arg;

	b->good = senders_allow(
	    b->senders, b->cfg->relay.sender_binding, user, b->sender);
	return !b->good;
}

/* Any of the users will do: which of them sends can't be known. */
static int
bind_sender(struct store *st, const struct config *cfg,
    const struct sender_set *senders, const struct facts_question *q,
    const struct store_lookup *found, int64_t now, struct policy_facts *facts,
    struct err *err)
{
	struct bound b = {
		.cfg = cfg, .senders = senders, .sender = q->sender
	};

	if (found->rows == 1)
		(void)ask_user(&b, found->user);
	else if (store_each_user(st, &q->client,
		     (uint8_t)cfg->relay.ipv6_prefix, now, ask_user, &b,
		     err) == -1)
		return -1;
	facts->sender = b.good ? POLICY_SENDER_GOOD : POLICY_SENDER_FOREIGN;
	return 0;
}

/* How many users share the client, as far as that decides. */
static int
count_sharing(struct store *st, const struct config *cfg,
    const struct facts_question *q, const struct store_lookup *found,
    int64_t now, int64_t *sharing_r, struct err *err)
{
	struct network net = network_of(&q->client,
	    q->client.family == ADDR_IPV6 ? (uint8_t)cfg->relay.ipv6_prefix
					  : 32);
	char client[NETWORK_TEXT_MAX];

	*sharing_r = found->sharing;
	/* few more than what was read are no more users than that */
	if (!cfg->relay.shared_refused || !found->crowded ||
	    cfg->relay.shared_address_users < STORE_ROWS_CROWD / 10)
		return 0;
	return store_sharing(st, network_format(&net, client), now,
	    cfg->relay.shared_address_users + 1, sharing_r, err);
}

int
facts_found(struct store *st, const struct config *cfg,
    const struct facts_lists *lists, const struct facts_question *q,
    const struct store_lookup *found, int64_t now, struct policy_facts *facts,
    struct err *err)
{
	int64_t sharing;

	assert(facts->store != POLICY_STORE_ANSWERED);
	assert(!found->active || found->rows > 0);
	if (found->active && q->sender != NULL &&
	    facts->sender == POLICY_SENDER_UNKNOWN &&
	    bind_sender(st, cfg, &lists->senders, q, found, now, facts, err) ==
		-1)
		return -1;
	if (count_sharing(st, cfg, q, found, now, &sharing, err) == -1)
		return -1;
	facts->store = POLICY_STORE_ANSWERED;
	/* a denied user's login is worth nothing, but what else the session
	 * has to show may be */
	facts->denied = found->denied ||
	    (found->login_denied && !facts->authenticated &&
		!facts->certificate && !facts->trusted);
	/* an admin's entry is for the address, whoever sits behind it */
	facts->shared = cfg->relay.shared_refused && found->active &&
	    !found->manual && facts_shared(cfg, sharing);
	facts->login_active = found->active;
	facts->login_seen = found->expires_at != 0;
	facts->login_at = found->last_at;
	facts->expires_at = found->expires_at;
	return 0;
}

bool
facts_other_family(const struct addr *client, bool ipv4, bool ipv6)
{
	return (client->family == ADDR_IPV4 && ipv6) ||
	    (client->family == ADDR_IPV6 && ipv4);
}

enum policy_collector
facts_collector(const struct config *cfg, int64_t read_at, int64_t now)
{
	if (cfg->relay.collector_grace_s == 0)
		return POLICY_COLLECTOR_CURRENT;
	if (read_at == 0)
		return POLICY_COLLECTOR_NEVER;
	return now - read_at > cfg->relay.collector_grace_s
	    ? POLICY_COLLECTOR_BEHIND
	    : POLICY_COLLECTOR_CURRENT;
}
