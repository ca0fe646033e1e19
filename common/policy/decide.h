/* SPDX-License-Identifier: ISC */
/* decide - one recipient -> a decision: the one order in which the policy's
 * questions are asked, whoever asks them:
 *   1. What the MTA told and the configuration says: is the recipient ours?
 *      Then nothing else is asked.
 *   2. The login table: denials, logins; where no login counts, how far the
 *      collector is, and by which address families others log in.
 *   3. Denials for going over a limit.
 *   4. Can a relay be recorded?
 *   5. The limits, last, since to ask them is to count.
 * What a question is put to differs: popgate-milter has a pool, a limiter and
 * an audit queue, popgatectl two files. So these are given as functions.
 * Threads: any, while what is pointed to stays constant. */
#ifndef POPGATE_DECIDE_H
#define POPGATE_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/policy/facts.h"
#include "common/policy/policy.h"
#include "common/policy/reply.h"
#include "common/records/decision.h"
#include "common/records/userlist.h"

struct config;
struct err;
struct store;
struct store_lookup;

/* All is borrowed. */
struct decide_question {
	const struct config *cfg;
	/* NULL: there is neither a recipient nor a sender */
	const struct facts_lists *lists;
	const struct facts_question *q;
	/* the client has one of this machine's own addresses; only with
	 * relay.never_authorize_own */
	bool own_address;
	const char *listener; /* see facts_monitored() */
	int64_t at_ms; /* Unix time that is asked about */
	int64_t now; /* Unix seconds by the clock: how late is the collector? */
};

struct decide_answer {
	struct policy_facts facts;
	struct decision decision;
	bool local; /* the recipient is ours */
	bool monitored; /* the MTA decides */
	bool refuse; /* what to do: false when monitored */
	int64_t at_ms; /* the question's */
	const char *auth_user; /* by SMTP AUTH; borrowed; NULL: nobody */
	/* The users whose logins the decision rests on: of an accepted one
	 * those that are charged for it. A userlist. */
	char login_users[USERLIST_MAX];
	char code[4], status[8], text[REPLY_TEXT_MAX]; /* see reply.h */
};

struct decide_ops {
	/* Look the client up at answer's time, with answer->auth_user's
	 * denials; *st_r and *found_r are lent until table_done(). 0, or -1
	 * with err. */
	int (*look_up)(void *arg, const struct decide_answer *answer,
	    struct store **st_r, const struct store_lookup **found_r,
	    struct err *err);
	/* When was every source last read to its end? As
	 * store_sources_read_at(). */
	int (*read_at)(
	    void *arg, struct store *st, int64_t *read_at_r, struct err *err);
	/* Do users log in over IPv4, over IPv6? 0, or -1: not known. */
	int (*families)(
	    void *arg, struct store *st, bool *ipv4_r, bool *ipv6_r);
	/* Once for each look_up(), also one that failed. err: why the table
	 * can't be read; NULL: it has answered. */
	void (*table_done)(void *arg, const struct err *err);

	/* Is the client kept out for going over a limit, or the user who
	 * authenticated (NULL: none), or all of login_users (a userlist; NULL:
	 * it doesn't rest on logins)? Takes those who are out of the list while
	 * others are left. */
	bool (*breached)(void *arg, const char *auth_user, char *login_users);
	/* Can a relay be recorded? */
	bool (*recordable)(void *arg);
	/* Is one more recipient within the limits, for answer's reason and
	 * login_users? Takes users without room out of these when another one
	 * has room. */
	bool (*within_limits)(void *arg, struct decide_answer *answer);
};

/* Decide. ops' functions get arg. */
void decide(const struct decide_question *question,
    const struct decide_ops *ops, void *arg, struct decide_answer *answer);

#endif
