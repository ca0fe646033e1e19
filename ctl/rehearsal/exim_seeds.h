/* SPDX-License-Identifier: ISC */
/* exim_seeds - what is worth saying to an Exim: taken from its configuration
 * and tables, whatever they mean there. Pure.
 *
 * Every literal is said as a sender, a HELO name and so on; for a pattern a
 * sample that it matches; for each top level domain that is named, a domain of
 * a stranger's below it. */
#ifndef POPGATE_EXIM_SEEDS_H
#define POPGATE_EXIM_SEEDS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/addr.h"
#include "common/base/strings.h"

/* Domains below this label are a stranger's: nobody configures them. */
#define EXIM_VICTIM "relay-victim"

/* The parts of a dialogue. The first value of each is that of a client that has
 * nothing to do with the configuration. */
enum exim_dim {
	EXIM_CLIENT, /* "203.0.113.77", or with a name: "203.0.113.77 a.test" */
	EXIM_PORT, /* "25" */
	EXIM_HELO,
	EXIM_AUTH, /* "", or "PLAIN\tuser\tpassword" */
	EXIM_SENDER, /* "" is <> */
	EXIM_RECIPIENT,
	EXIM_TLS, /* "", or "TLS": after STARTTLS */
	EXIM_DIMS
};

struct exim_seeds {
	struct string_list v[EXIM_DIMS];
	struct network_set trusted; /* networks that are no stranger's */
	struct string_list clients; /* an address, or address and name, of each
				     * of them, and of names of clients */
	struct string_list paths; /* files that are named */
	struct string_list own; /* domains that may be ours */
	struct string_list prefixes, suffixes; /* of local parts, by routers */
	struct string_list gateways; /* recipients, or their local parts */
	bool failed; /* no memory */
};

/* Start with what is worth saying to any server. */
void exim_seeds_begin(struct exim_seeds *s);

/* Take what stands in a configuration (as "exim -bP config" prints it), and in
 * a table. */
void exim_seeds_take_config(struct exim_seeds *s, const char *text);
void exim_seeds_take_table(struct exim_seeds *s, const char *text);

/* End with forms of recipients, and strangers' addresses that aren't in trusted
 * networks. Returns false when memory was short. */
bool exim_seeds_end(struct exim_seeds *s);
void exim_seeds_release(struct exim_seeds *s);

/* A text that a regular expression matches, as far as it is plain: literals,
 * ".", classes, groups, "*", "+", "?", "|" (branch: which alternative of each
 * group; past the last, the last). Returns false where it isn't. */
bool exim_sample(const char *regex, unsigned branch, char *buf, size_t size);

#endif
