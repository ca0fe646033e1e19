/* SPDX-License-Identifier: ISC */
/* dnsbl - DNS block lists (RFC 5782): the names to ask for, and what answers
 * mean. Pure. */
#ifndef POPGATE_DNSBL_H
#define POPGATE_DNSBL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/addr.h"

enum { DNSBL_NAME_MAX = 256 };

/* "2.0.0.127.list.example", or 32 nibbles for IPv6 (RFC 5782 sections 2.1
 * and 2.4). list: a domain, folded. false: no address, or too long. */
bool dnsbl_name(
    const struct addr *addr, const char *list, char name[DNSBL_NAME_MAX]);

enum dnsbl_answer {
	DNSBL_CLEAR, /* no address record */
	DNSBL_LISTED,
	/* 127.255.255.0/24: the list refuses whoever asks, as a public
	 * resolver, or somebody over the limit, or mistyped its name */
	DNSBL_REFUSED,
	/* outside 127.0.0.0/8: not a list (any more); its domain was sold, or
	 * the resolver makes up answers */
	DNSBL_NO_LIST
};

/* v: the address records of the answer. The worst but one thing wins: one
 * that can't be a listing makes all of them doubtful. */
enum dnsbl_answer dnsbl_answer(const struct addr *v, size_t n);

/* Why a list refuses: words for a code of 127.255.255.0/24. */
const char *dnsbl_refusal(const struct addr *code);

/* Every list has these entries, or it isn't working (RFC 5782 section 5):
 * one that is on it and one that never is. */
void dnsbl_test_points(
    enum addr_family family, struct addr *listed, struct addr *clear);

/* Can the rest of the world have seen mail from this address? Not private,
 * local, for documentation or multicast (RFC 6890). */
bool addr_is_public(const struct addr *addr);

#endif
