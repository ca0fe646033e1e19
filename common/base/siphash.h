/* SPDX-License-Identifier: ISC */
/* siphash - SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash of 64
 * bits, so that who chooses the input can't choose where it collides. Pure. */
#ifndef POPGATE_SIPHASH_H
#define POPGATE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *data, size_t len);

#endif
