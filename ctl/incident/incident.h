/* SPDX-License-Identifier: ISC */
/* incident - which messages left this server, for whom, and by which right:
 * counted from the lines of a mail log, in bounded memory, whatever is in
 * them. No file, no clock, no output. One thread. */
#ifndef POPGATE_INCIDENT_H
#define POPGATE_INCIDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "ctl/incident/mtalog.h"

enum {
	INCIDENT_MESSAGES_MAX = 1 << 16, /* that are in the queue at a time */
	INCIDENT_GROUPS_MAX = 20000,
	INCIDENT_USER_MAX = 96,
	INCIDENT_ID_MAX = 25,
	INCIDENT_SENDER_MAX = 120,
	INCIDENT_SAMPLES = 3,
	INCIDENT_RECENT_S = 300,
	/* recipients of one user that are worth a look after few before:
	 * by themselves, and from several addresses */
	INCIDENT_MANY = 500,
	INCIDENT_MANY_FROM = 100,
	INCIDENT_ADDRESSES = 5,
	INCIDENT_RISE = 10, /* times what that user had before */
	INCIDENT_BEFORE_S = 7 * 86400 /* how far back "before" goes */
};

/* Why a message could leave. The first is the one to fear. */
enum right {
	RIGHT_NONE, /* none that popgate knows: the MTA let it through */
	RIGHT_UNTOLD, /* popgate's record can't be read */
	RIGHT_EXPANDED, /* none, or an alias of ours that leads outside:
			 * Sendmail's log doesn't tell */
	RIGHT_AUTH,
	RIGHT_LOGIN,
	RIGHT_NETWORK,
	RIGHT_CERTIFICATE,
	RIGHT_PROGRAM, /* a program on this machine */
	RIGHT_FORWARD, /* sent to us, and an alias of ours leads outside */
	RIGHT_BOUNCE, /* we made it: a notification to a sender */
	RIGHT_EARLIER, /* it came before the log that was read */
	RIGHTS
};
const char *right_name(enum right right); /* "by-no-right", for programs */
const char *right_words(enum right right); /* for people */

/* Knowledge from elsewhere. user_r: the name for that user, or left alone. */
struct incident_facts {
	void *arg;
	/* is this recipient in a domain of ours? */
	bool (*ours)(void *arg, struct span recipient);
	/* what popgate decided; RIGHT_NONE: nothing that lets it relay.
	 * RIGHT_FORWARD: it is known for one of our own recipients' */
	enum right (*decided)(void *arg, const char *queue_id,
	    const char *client, const char *sender, struct span recipient,
	    char user_r[INCIDENT_USER_MAX]);
	/* may this client relay by where it is? RIGHT_NONE, RIGHT_NETWORK or
	 * RIGHT_PROGRAM */
	enum right (*network)(void *arg, const struct addr *client);
};

/* Distinct texts, counted in a fixed size (linear counting: Whang et al.,
 * 1990); nearly exact up to some hundred. */
struct distinct {
	uint64_t bits[32];
};
unsigned distinct_count(const struct distinct *d);

/* Messages of one client and user by one right. */
struct incident_group {
	enum right right;
	char client[ADDR_TEXT_MAX]; /* "" for a program */
	char user[INCIDENT_USER_MAX];
	int64_t messages, recipients;
	int64_t null_senders; /* messages */
	int64_t recent; /* messages in the last INCIDENT_RECENT_S */
	int64_t queued; /* that are still in the queue, as the log tells */
	int64_t first_at, last_at;
	struct distinct senders, domains;
	/* The user's figures, by this right from all clients; those of all
	 * clients where there is no user: recipients, those that are to be
	 * expected by the days before, and addresses. Set by
	 * incident_result(). */
	int64_t user_recipients, user_expected;
	unsigned user_clients;
	bool rise; /* far more than expected */
	char domain[INCIDENT_SENDER_MAX]; /* of the first sender */
	char sender[INCIDENT_SAMPLES][INCIDENT_SENDER_MAX];
	char id[INCIDENT_SAMPLES][INCIDENT_ID_MAX];
};

struct incident;

/* since, now: Unix seconds; what left before since isn't counted. facts is
 * copied. NULL when memory is short. */
struct incident *
incident_new(int64_t since, int64_t now, const struct incident_facts *facts);
void incident_free(struct incident *in); /* NULL-safe */

/* Lines in the order of the log.
 *   at   Unix seconds
 *   pid  of the process that wrote it; -1: not known */
void incident_line(
    struct incident *in, const struct mtalog *m, int64_t pid, int64_t at);

struct incident_totals {
	int64_t messages, recipients, recent;
	int64_t failed; /* attempts to deliver outside that didn't succeed */
	int64_t first_at, last_at; /* of what left; 0: nothing did */
	int64_t forgotten; /* messages that had to be dropped from memory */
	int64_t ungrouped; /* messages beyond INCIDENT_GROUPS_MAX groups */
	bool no_memory;
};

/* The result: worst right first, then most messages. Borrowed; *n_r groups.
 * No more lines afterwards. */
const struct incident_group *incident_result(
    struct incident *in, struct incident_totals *totals, size_t *n_r);

/* Are the senders made up: many, all at one domain? */
bool incident_random_senders(const struct incident_group *g);

#endif
