/* SPDX-License-Identifier: ISC */
/* postfix_list - which clients a list of restrictions
 * (smtpd_relay_restrictions, ...) lets relay. One thread at a time. */
#ifndef POPGATE_POSTFIX_LIST_H
#define POPGATE_POSTFIX_LIST_H

#include "common/mta/restrict.h"
#include "ctl/doctor/postfix_exam.h"

enum { POSTFIX_GRANTS_MAX = 64 };

/* The clients that a restriction permits. */
enum grantee {
	GRANTEE_STRANGER, /* who says the right word */
	GRANTEE_SOME, /* some clients, or for some recipients */
	GRANTEE_NETWORKS, /* mynetworks */
	GRANTEE_AUTH, /* who logged in */
	GRANTEE_NOBODY /* something to say, but no grant */
};

struct postfix_grant {
	const char *kind; /* NULL: nothing to complain about */
	enum grantee grantee;
	char *file, *detail;
	unsigned line;
};

/* One list, walked through for a stranger. */
struct postfix_list {
	struct postfix_exam *x;
	const struct postfix_service *s;
	const char *setting;
	enum restrict_end end;
	bool nothing_stops;
	bool asks_popgate;
	bool all_ours; /* see restrict.h; set before the walk */
	struct postfix_grant v[POSTFIX_GRANTS_MAX];
	size_t n;
	int depth; /* of lists that are results of tables */
	int tables; /* read so far */
};

/* Fill in *l: what the restrictions of this setting do to a stranger. Reads the
 * tables that they ask.
 *   plain_table  what a table's name alone asks about in this setting
 *   all_ours     as if relay_domains held every domain
 * Caller releases. x and s are borrowed. */
void postfix_list_walk(struct postfix_list *l, struct postfix_exam *x,
    const struct postfix_service *s, const char *setting,
    enum restrict_effect plain_table, bool all_ours);
void postfix_list_release(struct postfix_list *l);

/* Is there a restriction in it that refuses strangers, wherever it stands? */
bool postfix_list_has_reject(struct postfix_list *l);

#endif
