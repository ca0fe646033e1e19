/* SPDX-License-Identifier: ISC */
/* exim_acl - what the statements of an Exim RCPT ACL do to a client that may
 * not relay and wants to, and where in the ACL it could be let through. Pure.
 */
#ifndef POPGATE_EXIM_ACL_H
#define POPGATE_EXIM_ACL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mta/exim_source.h"

/* To every client that isn't known to Exim and wants to relay. */
enum exim_effect {
	EXIM_GOES_ON, /* nothing, or not to every one */
	EXIM_REFUSES,
	EXIM_SPARES_AUTH, /* refuses it, but no AUTH user: both are conditions
			   * of one statement */
	EXIM_ACCEPTS
};

enum exim_effect exim_statement_effect(const struct exim_statement *s);

/* Does it accept every AUTH user, whatever the domain? */
bool exim_accepts_auth(const struct exim_statement *s);

/* deny, drop, defer, discard */
bool exim_verb_refuses(const char *verb);

/* Does a condition of s ask that ACL? */
bool exim_statement_asks(const struct exim_statement *s, const char *acl);

/* Is it a modifier: no condition that could be false? */
bool exim_condition_modifies(const struct exim_condition *c);
/* A modifier that changes the message, or what is thought of it. */
bool exim_condition_changes(const struct exim_condition *c);
/* A condition that no such client meets: a list of domains, of hosts, AUTH. */
bool exim_condition_excludes(const struct exim_condition *c);

/* Places by their statements; acl->n: none, or the end of the ACL. */
struct exim_acl_places {
	size_t refusal; /* the statement that refuses in any case */
	size_t neighbour; /* accepts AUTH users, or else hosts */
	size_t permit; /* in front of it, a client may be accepted */
	bool asked_for_all; /* recipients of our own come by there, too */
};

/* Find where to accept a client that the statement at refusal (acl->n: the end)
 * would refuse: beside the accept of AUTH users behind statement after, or else
 * in front of the refusal. */
void exim_acl_find_places(const struct exim_acl *acl, size_t after,
    size_t refusal, struct exim_acl_places *at);

#endif
