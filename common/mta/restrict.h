/* SPDX-License-Identifier: ISC */
/* restrict - walk through a list of Postfix's smtpd restrictions as smtpd
 * does, for a stranger who wants to relay. Pure: what has to be looked up
 * (tables, classes) is asked from the caller. */
#ifndef POPGATE_RESTRICT_H
#define POPGATE_RESTRICT_H

#include <stdbool.h>
#include <stddef.h>

/* How a list ends for a stranger. */
enum restrict_end {
	RESTRICT_THROUGH, /* nothing stopped the client: the next list decides
			   */
	RESTRICT_PERMIT, /* permitted for certain */
	RESTRICT_REJECT /* refused for certain */
};

/* The effect that a restriction may have for a stranger. */
enum restrict_effect {
	EFFECT_NONE, /* nothing certain */
	EFFECT_PERMIT,
	EFFECT_REJECT,
	EFFECT_WARN, /* warn_if_reject: the next one only warns */
	EFFECT_NETWORKS, /* permit_mynetworks */
	EFFECT_AUTH, /* permit_sasl_authenticated */
	EFFECT_CERT, /* permit_tls_clientcerts */
	EFFECT_ANY_CERT, /* permit_tls_all_clientcerts */
	EFFECT_MX_BACKUP,
	EFFECT_POLICY, /* check_policy_service */
	EFFECT_CLIENT, /* tables, by what the key is */
	EFFECT_HELO,
	EFFECT_SENDER,
	EFFECT_RECIPIENT,
	EFFECT_DNS_MAP, /* the client's DNS chooses the key: smtpd takes an OK
			 * for an error in the settings */
	EFFECT_OTHER_MAP, /* certificates, AUTH, ETRN: no stranger */
	EFFECT_UNKNOWN
};

struct restrict_walk {
	void *arg;
	/* The list of a restriction class; NULL: there is none. */
	const char *(*class_list)(void *arg, const char *name);
	/* A restriction from EFFECT_NETWORKS on. operand: its table or
	 * service, or "". Says how it ends for every stranger; that some are
	 * permitted is for the caller to remember. */
	enum restrict_end (*look)(void *arg, enum restrict_effect effect,
	    const char *name, const char *operand);
	/* The effect of a table without check_..._access; see smtpd(8). */
	enum restrict_effect plain_table;
	int depth; /* of classes: 0 */
	unsigned steps; /* words seen, 0: classes that hold each other
			 * again and again end a walk early, which
			 * then has refused nobody */
	/* every domain is one of ours: what refuses by destination refuses
	 * nobody */
	bool all_ours;
	bool nothing_stops; /* out: a warn_if_reject took out a reject */
};

enum restrict_end restrict_list(struct restrict_walk *w, const char *list);

/* Does smtpd find the reject that it wants before it takes mail at all? */
bool restrict_has_reject(struct restrict_walk *w, const char *list);

/* The effect of a restriction, by its name in upper or lower case. false: it
 * isn't one of postconf(5) that this knows: a class, a table, or
 * reject_something.
 *   operand_r  does the next word belong to it? */
bool restrict_effect_of(
    const char *name, enum restrict_effect *effect_r, bool *operand_r);

/* The next word of a list: separated by commas and blanks, "{ }" is one word
 * (with its braces). Copies it into buf, cut to size - 1. Returns false at
 * the end. */
bool restrict_word(const char **at, char *buf, size_t size);

#endif
