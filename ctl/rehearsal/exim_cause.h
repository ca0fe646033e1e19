/* SPDX-License-Identifier: ISC */
/* exim_cause - what lets a recipient pass, from Exim's own trace. Pure. */
#ifndef POPGATE_EXIM_CAUSE_H
#define POPGATE_EXIM_CAUSE_H

#include "ctl/rehearsal/exim_talk.h"
#include "ctl/rehearsal/exim_trace.h"

/* Strings of the trace. */
struct exim_cause {
	const char *kind; /* of finding */
	const struct exim_ran *at; /* the statement; NULL: no ACL was asked */
	const struct exim_check *check; /* its condition; NULL */
	/* An earlier statement that was decided by what the stranger said, too:
	 * it may set what this one asks; NULL. */
	const struct exim_ran *origin;
	/* The innermost list that matched; "" or NULL where there is none. */
	const char *list, *item;
	const char *named; /* the name of the list that holds the item */
	const char *path; /* the table or file that the item is in, or names */
	bool lookup; /* path is a table that is looked up */
};

/* One dialogue, and where its RCPT is. */
struct exim_heard_in {
	const struct exim_trace *trace;
	const struct exim_heard *heard;
};

/* Find the cause of an accepted recipient.
 *   y  what was needed: each value that isn't 0 is
 *   refused  the same dialogue with one of them 0, which was refused; NULL:
 *            there is none */
void exim_cause_find(const struct exim_talk *t, const struct exim_try *y,
    const struct exim_heard_in *accepted, const struct exim_heard_in *refused,
    struct exim_cause *c);

/* Is this the name of what an ACL statement does, not of what it asks? */
bool exim_check_modifies(const struct exim_check *c);

#endif
