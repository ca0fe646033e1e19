/* SPDX-License-Identifier: ISC */
/* why - the answer to "may it relay, and why?": decisions.c, denials.c and
 * logins.c gather it, print.c and print_json.c print it. */
#ifndef POPGATE_WHY_H
#define POPGATE_WHY_H

#include "common/base/strings.h"
#include "common/records/decision.h"
#include "ctl/ctl.h"
#include "ctl/why/daemon.h"
#include "ctl/why/message_id.h"
#include "ctl/why/verdict.h"

struct json;

/* The question, and the databases that are asked. One thread at a time. */
struct why {
	struct ctl *ctl; /* borrowed */
	struct store *st; /* NULL: can't be read, store_err says why */
	struct err store_err;
	struct audit_reader *audit; /* NULL: can't be read */
	char audit_why[ERR_TEXT_MAX + 160]; /* why not */
	int64_t events, decisions; /* how many to show */
	bool all_logins; /* not only the first WHY_LOGINS_MAX */
	const char *log; /* of the MTA; NULL: as configured */
	struct string_list texts; /* that the answer points to */
	int rc; /* exit status; what failed has been said */
};

enum { WHY_LOGINS_MAX = 200 };

/* Denials by an admin, and limits that were exceeded in the last week. */
struct why_denials {
	bool known; /* the login table can be read */
	struct store_deny *deny;
	size_t n_deny;
	bool limits_known; /* the record of decisions can be read */
	struct audit_breach *breach;
	size_t n_breach;
};

/* The logins of a client, or of a user, and the log lines behind them. */
struct why_logins {
	bool known; /* the table can be read */
	bool of_user; /* not of a client */
	struct store_row *row;
	size_t n_row; /* WHY_LOGINS_MAX at most, unless all are asked for */
	int64_t total, active;
	int64_t sharing; /* users of the client; 0: not known */
	bool shared; /* more than relay.shared_address_users */
	bool deletion_known;
	int64_t deleted_until; /* an admin deleted logins; 0: none */
	struct store_event *event; /* newest first */
	size_t n_event;
	bool events_asked; /* for at least one */
};

/* The verdicts, and what was accepted and given up by the client. */
enum { WHY_ABORTED = VERDICTS, WHY_KINDS };

const char *why_kind_name(size_t kind);

/* The decisions of one kind. */
struct why_kind {
	int64_t recipients;
	int64_t messages; /* of those that the channel tells apart */
	int64_t last_ms; /* of the newest */
	struct audit_record *newest;
	size_t n_newest;
};

struct why_decisions {
	const char *unknown; /* why they can't be read; NULL: they can */
	bool counted; /* false: reading failed, and that was said */
	int64_t looked_at;
	bool partly; /* there are older ones, which weren't looked at */
	struct why_kind kind[WHY_KINDS];
};

/* The decisions on one message. */
struct why_message {
	const char *queue_id;
	int64_t at; /* of its line in the mail log; 0: asked by queue id */
	bool found; /* popgate decided something */
	bool failed; /* can't be told; that was said */
	struct audit_record *decision;
	size_t n_decision;
};

enum why_subject {
	WHY_NOTHING, /* what is wrong has been said */
	WHY_ADDRESS,
	WHY_NETWORK,
	WHY_USER,
	WHY_MESSAGE,
	WHY_MESSAGE_ID
};

struct why_answer {
	enum why_subject subject;
	const char *text; /* what was asked; canonical if an address */
	/* an address */
	struct verdict_question question;
	struct verdict_answer verdict;
	char row[VERDICT_WORDS_MAX]; /* the row that decides, in words */
	struct daemon_answer daemon;
	/* an address, a user; a network has only logins */
	struct why_denials denials;
	struct why_logins logins;
	struct why_decisions decisions;
	/* one by its queue id, or those that carry a message-id */
	struct why_message message[MESSAGES_MAX];
	size_t n_message;
	bool more_messages; /* carry it: the newest are kept */
};

/* Fill in one part of an answer, which is all zero. What fails is said on
 * stderr and sets w->rc. Texts live as long as w->texts, arrays until the
 * caller frees them.
 *   client, network, user  of whom: one is given, the others are NULL */
void why_denials(struct why *w, const struct addr *client, const char *user,
    struct why_denials *d);
void why_logins(struct why *w, const struct addr *client, const char *network,
    const char *user, struct why_logins *l);
/* base: whose decisions */
void why_decisions(
    struct why *w, const struct audit_filter *base, struct why_decisions *d);

/* The decisions on m->queue_id: MTAs use ids again, so only those near m->at
 * when that isn't 0. */
void why_message(struct why *w, struct why_message *m);
/* Did this user ever ask for a decision? */
bool why_user_decided(struct why *w, const char *user);

/* A copy of text in w->texts; NULL stays NULL. Aborts when memory is short. */
const char *why_keep(struct why *w, const char *text);
/* v with room for one more than n members of size bytes; to be freed. Aborts
 * when memory is short. */
void *why_grow(void *v, size_t n, size_t size);

/* Print an answer for people; the members of an open JSON object. */
void why_print(struct ctl *ctl, const struct why_answer *a);
void
why_print_json(struct ctl *ctl, const struct why_answer *a, struct json *j);

#endif
