/* SPDX-License-Identifier: ISC */
/* postfix_run - one rehearsal of a Postfix, as its parts share it: the search
 * (postfix.c), what is refused behind DATA (postfix_message.c), and cause and
 * cure (postfix_cure.c). */
#ifndef POPGATE_POSTFIX_RUN_H
#define POPGATE_POSTFIX_RUN_H

#include <stdint.h>

#include "common/base/strset.h"
#include "ctl/rehearsal/postfix.h"
#include "ctl/rehearsal/postfix_seeds.h"
#include "ctl/rehearsal/postfix_talk.h"
#include "ctl/rehearsal/postfix_trace.h"
#include "ctl/rehearsal/progress.h"
#include "ctl/smtp/relay_forms.h"

struct stage;

struct postfix_run {
	const struct postfix_rehearsal_spec *spec;
	const struct postfix_conf *pf;
	struct postfix_rehearsal *r;
	struct stage *stage;
	struct postfix_seeds seeds;
	struct string_list ours; /* domains with a dot that are the server's */
	struct string_list kept; /* recipients that were taken */
	int64_t until_ms; /* of the search, by clock_monotonic_ms() */
	struct progress progress;
	const char *at; /* the service that is asked */
	bool verbose; /* smtpd logs each step */
};

/* A hole that a dialogue has shown, with its strings borrowed. */
struct postfix_shown {
	const struct postfix_service *s;
	struct postfix_client client;
	struct postfix_mail mail;
};

/* Find out why it was taken and, unless that is known already or the mail would
 * stay, look for an edit that closes it, and add it to run->r. 0, or -1 with
 * err. */
int postfix_cure(struct postfix_run *run, const struct postfix_shown *shown,
    struct err *err);

/* Is it an address at a domain that isn't the server's? */
bool postfix_run_is_foreign(const struct postfix_run *run, const char *address);

/* "<a@b>" without its brackets; false: it has others. */
bool postfix_unbracket(const char *recipient, char to[FORM_TEXT_MAX]);

enum { POSTFIX_RUN_FIRST_MAX = 34 };

/* Ask Postfix to verify recipients (without brackets, POSTFIX_RUN_FIRST_MAX at
 * most): the first that leaves for where a stranger chose, or -1. */
int postfix_run_first(
    struct postfix_run *run, const char *const *recipients, size_t n);

/* Would mail to this recipient ("<a@b>") leave for where a stranger chose? */
bool postfix_run_leaves(struct postfix_run *run, const char *recipient);

/* Is it accepted? */
bool
postfix_run_ask(struct postfix_run *run, const struct postfix_client *client,
    const char *sender, const char *recipient);

/* That many recipients were asked about. */
void postfix_run_count(struct postfix_run *run, size_t recipients);

/* What postfix_run_is_closed() has asked at a service. Begins as zeros. */
struct postfix_again {
	/* asked for last: of it, every message to the recipient is refused */
	struct postfix_client client;
	char recipient[FORM_TEXT_MAX];
	size_t messages;
};

/* A recipient was taken: is its message refused behind DATA, whatever sender
 * and HELO the client gives? Each client is asked so once. A sender or HELO
 * that is taken is set in shown. Sets run->r->undecided. */
bool postfix_run_is_closed(struct postfix_run *run, struct postfix_again *again,
    struct postfix_shown *shown);

/* Of a client that was asked so, who had these recipients accepted: their
 * messages in one connection. Those that are refused aren't accepted then. */
void
postfix_run_ask_messages(struct postfix_run *run, struct postfix_again *again,
    const struct postfix_client *client, struct postfix_mail *v, size_t n);

#endif
