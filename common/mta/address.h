/* SPDX-License-Identifier: ISC */
/* address - mail addresses as an MTA shows them: plain local@domain or not?
 * Pure. */
#ifndef POPGATE_ADDRESS_H
#define POPGATE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mta/domains.h"

enum {
	ADDRESS_LOCAL_MAX = 255, /* bytes; RFC 5321 has 64 */
	ADDRESS_TEXT_MAX = ADDRESS_LOCAL_MAX + 1 + DOMAIN_TEXT_MAX
};

/* An address without the <> around it, if it has them. Returns where it begins;
 * *len is its length before and after. */
const char *address_inside(const char *text, size_t *len);

/* Does a local part hold what an MTA may take as routing or quoting, white
 * space, or a control byte? */
bool address_has_routing(const char *text, size_t len);

/* Fold a plain address for comparison: ASCII case of the local part too (no
 * server gives Alice and alice to two people), the domain as domain_fold()
 * does. *domain_r points into out behind the last @. Returns false when text
 * is anything else: routing, quotes, brackets, 8-bit in the local part, a part
 * that is empty or too long. */
bool address_fold(
    const char *text, char out[ADDRESS_TEXT_MAX], const char **domain_r);

#endif
