/* SPDX-License-Identifier: ISC */
/* decision - what was decided on one recipient, and why. The names of the
 * reasons are the vocabulary of audit rows, log lines, metrics and tests. */
#ifndef POPGATE_DECISION_H
#define POPGATE_DECISION_H

#include <stdbool.h>
#include <stdint.h>

enum verdict {
	VERDICT_ACCEPT,
	VERDICT_REJECT,
	VERDICT_TEMPFAIL,
	/* in monitor mode: recorded, and left to the MTA */
	VERDICT_WOULD_REJECT,
	VERDICT_WOULD_TEMPFAIL,
	VERDICT_WOULD_ACCEPT, /* in observe mode, by the permit channel */
	VERDICTS,
	VERDICT_ASK_STORE = VERDICTS /* policy_decide() needs the table */
};

/* The ground that a decision rests on. Code that treats reasons differently asks
 * this, so that a new reason needs no change there: in a switch without a
 * default where each basis means something of its own, and then the compiler
 * asks what a new one means. */
enum basis {
	BASIS_NOTHING, /* refused, or not known yet; login or not */
	BASIS_NO_LOGIN, /* refused: no login of the client counts */
	BASIS_HELD_BACK, /* refused, though a login or a right is there */
	BASIS_RECIPIENT, /* accepted: a recipient of ours */
	BASIS_AUTH, /* accepted, like all that follow */
	BASIS_CERTIFICATE,
	BASIS_NETWORK,
	BASIS_LOGIN
};

/* Every reason: its name, its basis, and its words in a report. A name that was
 * once recorded stays. */
#define REASONS_EACH(X)                                                       \
	X(LOCAL_RECIPIENT, "local-recipient", RECIPIENT, "our own recipient") \
	X(DENIED, "denied", HELD_BACK, "denied")                              \
	X(AUTHENTICATED, "authenticated", AUTH, "SMTP AUTH")                  \
	X(CERTIFICATE, "certificate", CERTIFICATE, "TLS certificate")         \
	X(TRUSTED_NETWORK, "trusted-network", NETWORK, "trusted network")     \
	X(NO_CLIENT_IDENTITY, "no-client-identity", NOTHING,                  \
	    "no client address")                                              \
	X(SHARED_ADDRESS, "shared-address", NOTHING,                          \
	    "address of too many users")                                      \
	X(STORE_UNAVAILABLE, "store-unavailable", NOTHING,                    \
	    "login table unavailable")                                        \
	X(SENDER_MISMATCH, "sender-mismatch", NOTHING,                        \
	    "sender is another user's")                                       \
	X(SENDER_UNKNOWN, "sender-unknown", NOTHING, "sender not known")      \
	X(RATE_LIMITED, "rate-limited", HELD_BACK, "limit reached")           \
	X(RECENT_LOGIN, "recent-login", LOGIN, "POP or IMAP login")           \
	X(LOGIN_EXPIRED, "login-expired", NO_LOGIN, "login too old")          \
	X(COLLECTOR_BEHIND, "collector-behind", NO_LOGIN,                     \
	    "logs not read in time")                                          \
	X(NO_LOGIN, "no-login", NO_LOGIN, "no login")                         \
	X(AUDIT_UNAVAILABLE, "audit-unavailable", HELD_BACK,                  \
	    "decisions can't be recorded")                                    \
	X(DOMAIN_UNKNOWN, "domain-unknown", NOTHING, "domain not known")

enum reason {
#define REASON(reason, name, basis, words) REASON_##reason,
	REASONS_EACH(REASON)
#undef REASON
	    REASONS
};

struct decision {
	enum verdict verdict;
	enum reason reason;
	int rule; /* number of the policy's row */
	int64_t login_at; /* newest login it rests on; 0 none */
	int64_t expires_at; /* of that login; 0 none */
	bool other_family; /* no login, while others log in by IPv4 when
			    * this is IPv6, or the other way */
};

/* The verdict that is recorded in monitor mode in place of this one. */
enum verdict verdict_monitored(enum verdict verdict);
const char *verdict_name(enum verdict verdict); /* "accept", ... */
const char *reason_name(enum reason reason); /* "no-login", ... */
enum reason reason_find(const char *name); /* REASONS: there is none */
enum basis reason_basis(enum reason reason); /* of REASONS: BASIS_NOTHING */
const char *reason_words(enum reason reason); /* "login too old", ... */

#endif
