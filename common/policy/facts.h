/* SPDX-License-Identifier: ISC */
/* facts - what the policy goes by, gathered from the question, the
 * configuration and the login table. decide.h says in which order. Asks no
 * clock, logs nothing.
 * Threads: any, while what is pointed to stays constant. */
#ifndef POPGATE_FACTS_H
#define POPGATE_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "common/mta/certificate.h"
#include "common/mta/domains.h"
#include "common/mta/senders.h"
#include "common/policy/policy.h"
#include "common/records/fate.h"

struct config;
struct err;
struct store;
struct store_lookup;

/* The lists that the configuration names in other files. Constant once
 * loaded. */
struct facts_lists {
	struct domain_set domains; /* relay.local_domains */
	struct sender_set senders; /* relay.sender_addresses */
};

/* Read them. Runs programs: not for a hot path. 0, or -1 with err that names
 * file and line and nothing to release. */
int facts_lists_load(
    const struct config *cfg, struct facts_lists *lists, struct err *err);
void facts_lists_release(struct facts_lists *lists);

/* Say what of relay.local_domains isn't taken, or can't be read:
 * "FILE:LINE: relay.local_domains: ...". */
void facts_domains(const struct config *cfg, const struct facts_lists *lists,
    void (*say)(void *arg, const char *text), void *arg);

/* Say of each of relay.trusted_networks that is too wide to be meant what it
 * makes of us: "FILE:LINE: relay.trusted_networks: ...". */
void facts_open_relay(const struct config *cfg,
    void (*say)(void *arg, const char *text), void *arg);

/* Say which settings open nothing, since Postfix tells a socketmap nothing but
 * the client and permit.policy isn't set.
 *   sure  only when relay.local_domains says that the MTA is Postfix:
 *         Sendmail's map is told all */
void facts_socketmap(const struct config *cfg, bool sure,
    void (*say)(void *arg, const char *text), void *arg);

/* One recipient, as the MTA told it. Strings are borrowed; NULL is none. */
struct facts_question {
	struct addr client; /* ADDR_NONE: not known */
	const char *sender; /* without <>; "" the null sender; NULL: the
			     * MTA doesn't say */
	const char *recipient; /* as typed; NULL: one that isn't ours */
	const char *mailer; /* {rcpt_mailer} */
	const char *auth_type, *auth_user; /* of this message */
	const struct certificate *certificate; /* of this session */
	bool vouched; /* its certificate was found on the list */
	bool any_sender; /* asked for one that its user may use */
};

/* Can facts_ask() tell at once whose the recipient is? Else a table of
 * Postfix's is being asked now: see postfix_ask_notify(). */
bool facts_ready(const struct config *cfg, const struct facts_lists *lists,
    const struct facts_question *q);

/* The facts that are known without the login table; facts->store becomes
 * UNASKED. Waits where facts_ready() says no, for some seconds at most.
 *   lists        may be NULL when the recipient is
 *   own_address  the client has one of this machine's own addresses, and
 *                relay.never_authorize has "own": it proves nothing */
void facts_ask(const struct config *cfg, const struct facts_lists *lists,
    bool own_address, const struct facts_question *q,
    struct policy_facts *facts);

/* Is nothing refused to client on this listener ("milter", "policy",
 * "socketmap"; NULL: whichever), only recorded? */
bool facts_monitored(
    const struct config *cfg, const char *listener, const struct addr *client);

/* Why an address proves nothing of who uses it, so that no login from there
 * counts (row 6): FATE_NEVER_AUTHORIZE, FATE_OWN_ADDRESS, FATE_PROXY; else
 * FATE_NONE.
 *   own  the machine's own addresses; NULL: not asked */
enum fate facts_refused_address(const struct config *cfg,
    const struct network_set *own, const struct addr *client);

/* Did the session prove who it is by SMTP AUTH? A user without a mechanism
 * proves nothing, nor does a mechanism without a user or whose name is none
 * (RFC 4422); and ANONYMOUS (RFC 4505) is a success that doesn't. */
bool facts_authenticated(const struct facts_question *q);

/* The user whose denial counts besides the client's: the AUTH user, else NULL.
 */
const char *facts_denied_user(const struct facts_question *q);

/* Add what the login table st said when it was asked at now; facts->store
 * becomes ANSWERED. Where several users logged in and the sender counts, st
 * is asked again. lists may be NULL when there is no sender.
 * 0, or -1 with err: nothing is known then. */
int facts_found(struct store *st, const struct config *cfg,
    const struct facts_lists *lists, const struct facts_question *q,
    const struct store_lookup *found, int64_t now, struct policy_facts *facts,
    struct err *err);

/* Does the client rest on a login, and not on what the session itself shows?
 * Then a denial of all whose logins let it relay, for going over a limit,
 * counts besides the client's; else that of the AUTH user. */
bool facts_rests_on_login(const struct policy_facts *facts);

/* Do so many users share an address that its login is one of anybody's?
 *   users  whose logins from there count now (store_lookup.sharing) */
bool facts_shared(const struct config *cfg, int64_t users);

/* Do others log in by IPv4 while client has IPv6, or the other way?
 *   ipv4, ipv6  store_families() since now - logins.window */
bool facts_other_family(const struct addr *client, bool ipv4, bool ipv6);

/* How the collector stands at now, when every source was last read to its
 * end at read_at (store_sources_read_at()). */
enum policy_collector
facts_collector(const struct config *cfg, int64_t read_at, int64_t now);

#endif
