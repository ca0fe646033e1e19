/* SPDX-License-Identifier: ISC */
/* policy - facts in, decision out, by the rows of the policy (to add one:
 * docs/HACKING.md, "Adding a policy reason"). Pure: no file, clock, lock or
 * log. decide.h says in which order the facts are found out. */
#ifndef POPGATE_POLICY_H
#define POPGATE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/records/decision.h"

/* In every enum the first value, in every bool false, grants nothing: zeroed
 * facts refuse. */
enum policy_store {
	POLICY_STORE_UNASKED,
	POLICY_STORE_ANSWERED,
	POLICY_STORE_UNAVAILABLE
};

enum policy_sender {
	POLICY_SENDER_UNKNOWN, /* the MTA didn't say, or memory was short */
	POLICY_SENDER_FOREIGN,
	POLICY_SENDER_GOOD /* one that the user may use, or not asked */
};

enum policy_collector {
	POLICY_COLLECTOR_CURRENT, /* or not asked for: grace is 0 */
	POLICY_COLLECTOR_BEHIND, /* it ran once, but is dead or slow */
	POLICY_COLLECTOR_NEVER /* it has never read anything */
};

/* A fact that nobody knows must be given as the one that opens nothing. */
struct policy_facts {
	bool recipient_local; /* 1 */
	bool recipient_unknown; /* it may be ours, which can't be told now */
	bool denied; /* 2 */
	bool authenticated; /* 3: SMTP AUTH, of this message */
	bool certificate; /* 4: proved, and on our list */
	bool trusted; /* 5 */
	bool identified; /* 6: an address that may have logins */
	bool shared; /* 6: by too many users, and that is
		      * refused; with ..._ANSWERED */
	enum policy_store store; /* 7 */
	enum policy_sender sender; /* 8 */
	bool within_limits; /* 9: there is room, or no limit applies to
			     * what lets it relay */
	bool login_active; /* 10: with POLICY_STORE_ANSWERED */
	bool login_seen; /* 11 */
	int64_t login_at; /* newest login, Unix seconds, 0 none */
	int64_t expires_at;
	enum policy_collector collector; /* 12 */
};

/* A row of the policy. Audit rows and admins know a row by its number, which
 * stays its own when another row is put before it. popgate(7) and
 * docs/ARCHITECTURE.md have these rows in this order: test_policy_docs compares
 * them, and writes them. */
struct policy_row {
	int n; /* 0: a row that decide() puts in place of another */
	enum verdict verdict;
	enum reason reason;
	const char *code, *status; /* of the SMTP reply; "" for an accept */
	size_t reply; /* where struct config has its template; 0: none */
	const char *condition; /* in words; the test is in policy.c */
};

extern const struct policy_row policy_rows[];
extern const size_t policy_rows_n;

/* The first row that matches; there always is one. VERDICT_ASK_STORE: row 1
 * doesn't match and the store is UNASKED; look the client up and call again. */
const struct policy_row *policy_match(const struct policy_facts *facts);
struct decision policy_decide(const struct policy_facts *facts);

/* A row that refuses, for good or for now, for this reason: all have the same
 * reply. NULL: none does. */
const struct policy_row *policy_refusal(enum reason reason);

#endif
