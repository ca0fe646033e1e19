/* SPDX-License-Identifier: ISC */
/* postfix_walk - does a list of restrictions ask popgate before it refuses
 * somebody whom popgate would permit? One thread. */
#ifndef POPGATE_POSTFIX_WALK_H
#define POPGATE_POSTFIX_WALK_H

#include "common/mta/restrict.h"
#include "ctl/doctor/postfix_exam.h"

/* The settings that name smtpd's lists; but for the last one, which is asked
 * about a message, all are asked about a recipient. */
enum { POSTFIX_WALK_LISTS = 6 };
extern const char *const postfix_walk_lists[POSTFIX_WALK_LISTS];

/* How a list went for a client that relays and is neither in mynetworks nor an
 * AUTH user; or, when local is set, for this machine itself. */
struct postfix_walk {
	const struct postfix_exam *x;
	const struct postfix_service *s;
	bool local;
	enum restrict_end end;
	bool asked; /* popgate's permit channel, before the end */
	bool plainly; /* and not by policy_context=asked-later alone */
	bool auth; /* AUTH users are permitted before the end */
	bool named; /* popgate's permit channel, wherever it stands */
	bool promises_data; /* policy_context=asked-at-data, to popgate */
};

/* Tables aren't read, but static: ones; what may hang on them isn't an end. */
void postfix_walk(struct postfix_walk *w, const struct postfix_exam *x,
    const struct postfix_service *s, const char *setting, bool local);

/* Call take with each endpoint that the list and its classes name: the operand
 * of check_policy_service or a socketmap table, as it stands there. */
void postfix_walk_endpoints(const struct postfix_exam *x,
    const struct postfix_service *s, const char *setting,
    void (*take)(void *arg, bool is_map, const char *word), void *arg);

/* Does the word name popgate's permit channel? is_map: a table. */
bool postfix_is_permit(const struct postfix_exam *x,
    const struct postfix_service *s, bool is_map, const char *word);

#endif
