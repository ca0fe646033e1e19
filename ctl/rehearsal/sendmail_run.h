/* SPDX-License-Identifier: ISC */
/* sendmail_run - one rehearsal of a Sendmail, as its parts share it. */
#ifndef POPGATE_SENDMAIL_RUN_H
#define POPGATE_SENDMAIL_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "common/base/strings.h"
#include "common/mta/sendmail_cf.h"
#include "ctl/rehearsal/progress.h"
#include "ctl/rehearsal/sendmail.h"
#include "ctl/rehearsal/sendmail_seeds.h"
#include "ctl/rehearsal/sendmail_talk.h"

struct stage;

#define SENDMAIL_FOREIGN "popgate-elsewhere" /* no domain of anybody's */
#define SENDMAIL_VICTIM "victim@" SENDMAIL_FOREIGN ".example"

enum {
	SENDMAIL_BATCH = 128,
	SENDMAIL_HOLES_MAX = 24, /* to be confirmed by SMTP */
	SENDMAIL_DOORS_MAX = 16,
	SENDMAIL_KEEP_MAX = 10,
	SENDMAIL_WORD_LEN = 300
};

enum sendmail_try_kind {
	TRY_BASE,
	TRY_FORM,
	TRY_OURS,
	TRY_SENDER,
	TRY_HELO,
	TRY_PAIR, /* HELO and sender */
	TRY_CLAIM, /* a PTR that its address doesn't confirm */
	TRY_PUBLIC
};

struct sendmail_try {
	enum sendmail_try_kind kind;
	const struct sendmail_seed *seed; /* NULL: none */
	const struct sendmail_door *door; /* where it is said */
	unsigned rule; /* the line of a rule that it is made for; 0: none */
	char address[ADDR_TEXT_MAX], name[SENDMAIL_WORD_LEN],
	    helo[SENDMAIL_WORD_LEN], sender[SENDMAIL_WORD_LEN],
	    recipient[SENDMAIL_WORD_LEN];
};

/* Where strangers come in. */
struct sendmail_door {
	char service[20];
	bool six;
	char flags[40]; /* as {daemon_flags} has them */
	char name[60]; /* {daemon_name} */
};

struct sendmail_run {
	const struct sendmail_rehearsal_spec *spec;
	struct sendmail_rehearsal *to;
	struct progress progress;
	struct stage *stage;
	struct sendmail_talk talk;
	struct sendmail_cf cf;
	struct sendmail_seeds seeds;
	struct string_list own; /* class w */
	struct string_list below; /* class m: relay_entire_domain */
	/* a stranger, and one with a name of his own; in no network that the
	 * configuration names */
	char stranger[20], named[20];
	const char *stranger6;
	struct sendmail_door door[SENDMAIL_DOORS_MAX];
	size_t n_doors;
	const struct sendmail_door *at; /* whose turn it is */
	char *mc_path, *mc; /* the source; NULL: isn't there */
	int64_t until_ms;
	struct sendmail_try batch[SENDMAIL_BATCH];
	struct sendmail_client asked[SENDMAIL_BATCH];
	struct sendmail_said said[SENDMAIL_BATCH];
	size_t n_batch;
	size_t n_passed; /* tries that leave the machine, shown before or not */
	struct sendmail_try hole[SENDMAIL_HOLES_MAX];
	size_t n_holes;
	struct sendmail_client keep[SENDMAIL_KEEP_MAX];
	size_t n_keep;
};

/* The client of a try, borrowing from it. */
struct sendmail_client sendmail_run_client(const struct sendmail_try *y);

/* Add a finding; takes over detail and fix. */
void sendmail_run_add(struct sendmail_run *r, const char *kind,
    const char *file, unsigned line, char *detail, char *fix);

/* From now on, the test mode asks as at this door. */
void sendmail_run_at(struct sendmail_run *r, const struct sendmail_door *door);

/* Find out who is accepted by right now, and must stay so. */
void sendmail_run_keepers(struct sendmail_run *r);

/* A hole that a dialogue at door has shown: add why, and what closes it. */
void sendmail_run_report(struct sendmail_run *r, const struct sendmail_try *y,
    const struct sendmail_door *door);

#endif
