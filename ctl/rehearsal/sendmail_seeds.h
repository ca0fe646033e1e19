/* SPDX-License-Identifier: ISC */
/* sendmail_seeds - the words that a sendmail.cf, its classes and its maps hold:
 * what a stranger has to say may be one of them. One thread. */
#ifndef POPGATE_SENDMAIL_SEEDS_H
#define POPGATE_SENDMAIL_SEEDS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mta/sendmail_cf.h"

enum sendmail_source {
	SEED_RULE, /* the left-hand side of a rule, or a pattern */
	SEED_WORD, /* of a C line */
	SEED_FILE, /* of a class's file */
	SEED_MAP /* the key of a map */
};

struct sendmail_seed {
	char *word; /* without tag, dot in front, brackets */
	enum sendmail_source from;
	char *file;
	unsigned line;
	char *type; /* SEED_MAP: "hash" */
};

enum { SENDMAIL_SEEDS_MAX = 4000 };

struct sendmail_seeds {
	struct sendmail_seed *v;
	size_t n;
	bool cut; /* there were more */
};

/* All zero is none. Reads the files that the lines name.
 *   path  of sendmail.cf */
void sendmail_seeds_take(struct sendmail_seeds *seeds,
    const struct sendmail_cf *cf, const char *path);
void sendmail_seeds_release(struct sendmail_seeds *seeds);

/* A word that a pattern of a rule matches: "x@friend.test" for
 * "$* < @ friend.test . > $*". Pure. false: it has none. */
bool sendmail_seeds_sample_rule(const char *lhs, char *buf, size_t size);

/* The same for an extended regular expression, as good as it goes. Pure. */
bool sendmail_seeds_sample_regex(const char *regex, char *buf, size_t size);

/* "192.0.2", "IPv6:2001:db8", "[192.0.2.1]". Pure. */
bool sendmail_seeds_is_network(const char *word);

#endif
