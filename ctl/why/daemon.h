/* SPDX-License-Identifier: ISC */
/* daemon - what would the running popgate-milter answer? The tables alone don't
 * say: it may be dead, be unable to read them, or go by another configuration.
 */
#ifndef POPGATE_WHY_DAEMON_H
#define POPGATE_WHY_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "common/policy/reply.h"
#include "common/records/decision.h"

struct config;
struct facts_question;
struct json;

enum daemon_state {
	DAEMON_UNKNOWN, /* it can't be asked from here; words say why */
	DAEMON_SILENT, /* it is dead or hangs; words say how */
	DAEMON_SAID
};

struct daemon_answer {
	enum daemon_state state;
	char words[600];
	/* what it said */
	enum verdict verdict;
	char reason[40];
	int64_t rule;
	char code[4], status[8], text[REPLY_TEXT_MAX];
};

/* Ask it on milter.status. It counts and records nothing of the question.
 * Waits for some seconds at most.
 *   q  as the policy is asked; a certificate by its names and digests */
void daemon_ask(const struct config *cfg, const struct facts_question *q,
    struct daemon_answer *a);

/* The verdict that a client gets now, by what the tables say and the daemon
 * says: a temporary failure where only a dead daemon would let it relay. */
enum verdict
daemon_verdict(const struct daemon_answer *a, const struct decision *tables);

/* Does the daemon say what the tables say? Print what comes before the tables'
 * answer when not; the members of an object "daemon". */
void daemon_print(const struct daemon_answer *a, const struct decision *tables);
void daemon_json(const struct daemon_answer *a, struct json *j);

#endif
