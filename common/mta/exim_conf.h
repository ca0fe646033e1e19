/* SPDX-License-Identifier: ISC */
/* exim_conf - an Exim configuration as "exim -bP config" prints it (macros and
 * files replaced, a setting a line): options, named lists, ACLs. Pure. */
#ifndef POPGATE_EXIM_CONF_H
#define POPGATE_EXIM_CONF_H

#include <stdbool.h>
#include <stddef.h>

struct exim_line {
	const char *section; /* "" for the main one, "acl" ... */
	const char *item; /* ACL, router ... it belongs to; "" none */
	char *text; /* without blanks around */
};

struct exim_conf {
	char *text; /* owned; all strings are in it */
	struct exim_line *v;
	size_t n;
};

/* Take over text and split it: also a file as it was written, but macros
 * then stay what they are. Returns false when memory is short. */
bool exim_conf_parse(char *text, struct exim_conf *cf);
void exim_conf_release(struct exim_conf *cf);

/* The value of "name = value" in the main section; NULL: none. */
const char *exim_option(const struct exim_conf *cf, const char *name);
/* The value of "domainlist name = value" (or hostlist, addresslist). */
const char *
exim_list(const struct exim_conf *cf, const char *kind, const char *name);

/* A statement's first word: accept, deny, require, warn, drop, defer, discard.
 * Returns what stands behind it, or NULL when text begins with no verb. */
const char *exim_verb(const char *text, char *verb, size_t size);

/* "!hosts = x": the name into buf; *negated_r. Returns the value, or NULL for
 * what is no condition. */
const char *
exim_condition(const char *text, char *name, size_t size, bool *negated_r);

/* The next member of a list, into buf without blanks around: separated by
 * colons ("::" is one), or as "<;" at the beginning says; *sep is 0 at first.
 * Returns false at the end. */
bool exim_member(const char **at, char *sep, char *buf, size_t size);

#endif
