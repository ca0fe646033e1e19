/* SPDX-License-Identifier: ISC */
/* names - the DNS of a private copy, one answer at a time (RFC 1035). Pure.
 *
 * What is spoken of exists: each name that it is told of has an address and an
 * MX, and so has every name of up to three labels, as domains of strangers
 * have. Each address but NAMES_NAMELESS has a name, which has that address, as
 * a good client's has. A stranger's domain that names this server as its second
 * MX has NAMES_MX_HERE in its name. Everything else doesn't exist, names in
 * block lists among them. */
#ifndef POPGATE_NAMES_H
#define POPGATE_NAMES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/addr.h"

enum {
	NAMES_MAX = 256, /* that are remembered; then the oldest is forgotten */
	NAME_LEN = 256,
	NAMES_PACKET_MAX = 512
};

#define NAMES_MX_HERE "popgate-mx-here"
#define NAMES_NAMELESS "212.77.66.99"

/* Shared by the process that adds and the one that answers. */
struct names {
	atomic_uint n; /* that were ever added */
	struct addr here; /* of the machine; set before anybody asks */
	struct {
		char name[NAME_LEN]; /* lower case, without the last dot */
		struct addr addr;
		bool client; /* addr's PTR names it */
		bool claimed; /* the name itself isn't addr's */
	} v[NAMES_MAX];
};

/* Let name have addr (ADDR_NONE: an address that nobody has). One adds, others
 * may answer at the same time. */
void names_add(struct names *names, const char *name, const struct addr *addr);

/* Let a client of this address have this name: PTR and address agree, as an
 * attacker's do. "": the client has no name. The last name counts. */
void
names_client(struct names *names, const char *name, const struct addr *addr);

/* The same for a name of somebody else's, which has another address: whoever
 * has an address writes its PTR. */
void
names_claim(struct names *names, const char *name, const struct addr *addr);

/* The answer to a query into out of NAMES_PACKET_MAX; its length, or 0: the
 * query isn't one. */
size_t names_answer(const struct names *names, const unsigned char *query,
    size_t len, unsigned char *out);

#endif
