/* SPDX-License-Identifier: ISC */
/* verdict - the real policy on the real tables, for an admin's question, and
 * each row of the policy in words. */
#ifndef POPGATE_VERDICT_H
#define POPGATE_VERDICT_H

#include "common/base/err.h"
#include "common/policy/decide.h"
#include "common/records/login.h"
#include "ctl/ctl.h"
#include "ctl/why/breach.h"

enum { VERDICT_WORDS_MAX = 300 };

struct verdict_question {
	struct facts_question q;
	struct audit_reader *audit; /* for rows 2 and 9; NULL: they can't
				     * be known */
	int64_t at; /* Unix seconds */
};

struct verdict_answer {
	struct decide_answer said; /* what decide() said */
	struct store_lookup found;
	bool store_failed; /* err says why */
	bool own; /* the client is one of our addresses */
	int64_t sources_read_at;
	/* A row whose session is open, longest ago; connected_at 0: none. Its
	 * strings are not valid. */
	struct store_row connected;
	struct breach_state breach;
	struct err err;
};

/* A row of the policy table. */
struct verdict_row {
	int n;
	const char *condition;
	bool matched;
	char words[VERDICT_WORDS_MAX]; /* what was found */
};

enum { POLICY_ROWS_MAX = 16 };

/* Ask. st may be NULL: the table can't be read, and err says why.
 * lists may be NULL when there is no recipient and no sender. */
void verdict_ask(struct ctl *ctl, struct store *st, const struct err *err,
    const struct facts_lists *lists, const struct verdict_question *q,
    struct verdict_answer *a);

/* The rows tested, in order, the last one being that which matched; of several
 * rows with one number the one that matched, else the first. Returns how many;
 * rows has room for POLICY_ROWS_MAX. */
int verdict_rows(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a, struct verdict_row *rows);

#endif
