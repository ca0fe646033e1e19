/* SPDX-License-Identifier: ISC */
/* postfix_seeds - what is worth saying to a Postfix: taken from its
 * configuration and tables, whatever they mean there. */
#ifndef POPGATE_POSTFIX_SEEDS_H
#define POPGATE_POSTFIX_SEEDS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/addr.h"
#include "common/base/strings.h"

/* A domain below any label that nobody configures: a stranger's. */
#define POSTFIX_VICTIM "relay-victim"

struct postfix_seeds {
	struct string_list senders; /* "" is <> */
	struct string_list recipients; /* "<user@domain>" */
	struct string_list helos;
	struct string_list names; /* of clients: those that anybody may have */
	struct string_list clients; /* addresses in wide networks */
	struct network_set narrow; /* whose clients the admin knows */
	struct string_list paths; /* files that are named, for the caller */
	struct string_list gateways; /* recipients, or their local parts, that
				      * may become a stranger's address */
	struct string_list insiders; /* an address of each narrow network */
	struct string_list labels; /* words that may be top level domains, for
				    * postfix_seeds_end() */
	char within[300]; /* a text that the "if" around a line matches */
	bool thorough; /* more of each, for whom time is no matter */
	size_t tables; /* that were read */
	size_t entries, said; /* in them; those that were taken */
	bool failed; /* no memory */
};

/* Begin with the words that any server is asked. Pure. */
void postfix_seeds_begin(struct postfix_seeds *s, bool thorough);
/* Take every word of a text, or of a database's bytes, and a sample of every
 * pattern. Pure. */
void postfix_seeds_take(struct postfix_seeds *s, const char *text, size_t len);
/* Take what the files in s->paths hold, and those that they name: some entries
 * of each sort, which is a kind of key with a result, so that the one OK among
 * a hundred thousand REJECTs is among them. */
void postfix_seeds_follow(struct postfix_seeds *s);
/* Take the labels, as far as there is room. Leave out clients in narrow
 * networks: they are no strangers. Pure. */
void postfix_seeds_end(struct postfix_seeds *s);
void postfix_seeds_release(struct postfix_seeds *s);

#endif
