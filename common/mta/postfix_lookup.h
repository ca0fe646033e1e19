/* SPDX-License-Identifier: ISC */
/* postfix_lookup - has a lookup table of Postfix an answer for a key? Tables
 * that can be listed are held in memory, expressions are compiled, and whatever
 * else postmap(1) can ask is asked by it (postfix_ask.h). Constant once opened:
 * any number of threads may ask it. */
#ifndef POPGATE_POSTFIX_LOOKUP_H
#define POPGATE_POSTFIX_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/strings.h"
#include "common/base/strset.h"
#include "common/mta/postfix_ask.h"

enum postfix_lookup_kind {
	LOOKUP_BROKEN, /* always POSTFIX_FAILED, as in Postfix */
	LOOKUP_KEYS, /* hash, btree, inline ...: exact keys */
	LOOKUP_ALWAYS, /* static, randmap */
	LOOKUP_NEVER, /* cidr: no domain is an address */
	LOOKUP_PATTERNS, /* regexp, pcre */
	LOOKUP_ASK, /* mysql, pgsql, ldap, socketmap, tcp, pipemap ... */
	LOOKUP_ANY /* unionmap: any of its members */
};

struct postfix_patterns;

struct postfix_lookup {
	enum postfix_lookup_kind kind;
	/* A list of domains asks such a table for the parents of a domain, too;
	 * not so where it has patterns only. */
	bool fixed;
	char *name; /* "type:name", as main.cf has it */
	char *why; /* it is BROKEN; else NULL */
	struct strset keys; /* KEYS: as they are compared */
	struct postfix_patterns *patterns;
	struct postfix_ask *ask;
	struct postfix_lookup **member; /* ANY */
	size_t n_members;
};

/* Open a table; one that can't be read becomes BROKEN. Runs postmap for tables
 * that can be listed.
 *   dir    Postfix's configuration
 *   table  "type:name", "proxy:type:name"
 *   files  gets the files that it comes from, to be watched for changes
 * NULL when memory is short. */
struct postfix_lookup *postfix_lookup_open(
    const char *dir, const char *table, struct string_list *files);
/* Empty, of kind KEYS or BROKEN (why: copied). NULL when memory is short. */
struct postfix_lookup *postfix_lookup_new(
    enum postfix_lookup_kind kind, const char *name, const char *why);
void postfix_lookup_free(struct postfix_lookup *l); /* NULL-safe */

/* Add a name to an open KEYS: ASCII in lower case, other names as A-labels. One
 * that is no domain is left out. 0, or -1 when memory is short. */
int postfix_lookup_add(struct postfix_lookup *l, const char *name, size_t len);

/* Ask it for keys[0]; the rest, n - 1, will be asked for next.
 *   wait  see postfix_ask_keys() */
enum postfix_answer postfix_lookup_get(const struct postfix_lookup *l,
    const char *const keys[], size_t n, bool wait);

#endif
