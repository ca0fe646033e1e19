/* facts - what the policy goes by, gathered from the question, the
 * configuration and the login table: the same for popgate-milter and for
 * popgatectl, who opens the table in another way. Asks no clock, opens and
 * logs nothing. Threads: any, while what is pointed to stays constant. */
#ifndef POPGATE_FACTS_H
#define POPGATE_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "policy.h"

struct config;
struct domain_set;
struct store_lookup;

/* One recipient, as the MTA told it. Strings are borrowed; NULL is none. */
struct facts_question {
	struct addr client; /* ADDR_NONE: not known */
	const char *sender; /* without <>; "" the null sender; NULL: the
			     * MTA doesn't say */
	const char *recipient; /* as typed; NULL: one that isn't ours */
	const char *mailer; /* {rcpt_mailer} */
	const char *auth_type, *auth_user; /* of this message */
};

/* The facts that are known without the login table; facts->store becomes
 * UNASKED.
 *   domains  relay.local_domains; may be NULL when the recipient is
 *   own      the machine's own addresses, which prove nothing when
 *            relay.never_authorize has "own" */
void facts_ask(const struct config *cfg, const struct domain_set *domains,
    const struct network_set *own, const struct facts_question *q,
    struct policy_facts *facts);

/* Did the session prove who it is by SMTP AUTH? A name without a mechanism
 * proves nothing, and ANONYMOUS (RFC 4505) is a success that doesn't. */
bool facts_authenticated(const struct facts_question *q);

/* Whose deny counts besides the client's: the AUTH user, else NULL. */
const char *facts_denied_user(const struct facts_question *q);

/* Add what the login table said; facts->store becomes ANSWERED. */
void facts_found(const struct config *cfg, const struct store_lookup *found,
    struct policy_facts *facts);

/* Do so many users share an address that its login is one of anybody's?
 *   users  whose logins from there count now (store_lookup.sharing) */
bool facts_shared(const struct config *cfg, int64_t users);

/* How the collector stands at now, when every source was last read to its
 * end at read_at (store_sources_read_at()). */
enum policy_collector facts_collector(
    const struct config *cfg, int64_t read_at, int64_t now);

#endif
