#include "facts.h"

#include <stddef.h>
#include <strings.h>

#include "config.h"
#include "rcpt.h"
#include "store.h"

bool
facts_authenticated(const struct facts_question *q)
{
	return q->auth_type != NULL && *q->auth_type != '\0' &&
	       strcasecmp(q->auth_type, "ANONYMOUS") != 0;
}

const char *
facts_denied_user(const struct facts_question *q)
{
	return facts_authenticated(q) ? q->auth_user : NULL;
}

/* Row 6: an address that many share, or that is ourselves, proves nothing. */
static bool
has_identity(const struct config *cfg, const struct network_set *own,
    const struct addr *client)
{
	return client->family != ADDR_NONE &&
	       !network_set_contains(&cfg->relay.never_authorize, client) &&
	       !network_set_contains(&cfg->relay.proxy_networks, client) &&
	       !(cfg->relay.never_authorize_own &&
		   network_set_contains(own, client));
}

void
facts_ask(const struct config *cfg, const struct domain_set *domains,
    const struct network_set *own, const struct facts_question *q,
    struct policy_facts *facts)
{
	*facts = (struct policy_facts){
	    .recipient_local =
		q->recipient != NULL && rcpt_is_local(q->recipient, q->mailer,
					    &cfg->relay.local_mailers, domains),
	    .authenticated = facts_authenticated(q),
	    .trusted =
		network_set_contains(&cfg->relay.trusted_networks, &q->client),
	    .identified = has_identity(cfg, own, &q->client),
	    .store = POLICY_STORE_UNASKED,
	    .sender = POLICY_SENDER_GOOD,
	    .within_limits = true};
}

bool
facts_shared(const struct config *cfg, int64_t users)
{
	return cfg->relay.shared_address_users > 0 &&
	       users > cfg->relay.shared_address_users;
}

void
facts_found(const struct config *cfg, const struct store_lookup *found,
    struct policy_facts *facts)
{
	facts->store = POLICY_STORE_ANSWERED;
	/* a denied user's login is worth nothing, but what else the session
	 * has to show may be */
	facts->denied =
	    found->denied || (found->login_denied && !facts->authenticated &&
				 !facts->certificate && !facts->trusted);
	/* an admin's entry is for the address, whoever sits behind it */
	facts->shared = cfg->relay.shared_refused && found->active &&
			!found->manual && facts_shared(cfg, found->sharing);
	facts->login_active = found->active;
	facts->login_seen = found->expires_at != 0;
	facts->login_at = found->last_at;
	facts->expires_at = found->expires_at;
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
