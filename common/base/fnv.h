/* SPDX-License-Identifier: ISC */
/* fnv - the hash FNV-1a of 64 bits, for tables and for telling texts apart.
 * Not against an adversary: use siphash where strangers choose what is hashed
 * and collisions would cost something. Pure; any thread. */
#ifndef POPGATE_FNV_H
#define POPGATE_FNV_H

#include <stddef.h>
#include <stdint.h>

/* The hash of nothing: where fnv_add() begins. */
#define FNV_START UINT64_C(0xcbf29ce484222325)

/* The hash of all that hash stands for, followed by n bytes at data. */
static inline uint64_t
fnv_add(uint64_t hash, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* The same with its bits mixed, where some of them are taken for a place in a
 * table or a bitmap. */
static inline uint64_t
fnv_mix(uint64_t hash)
{
	hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return hash ^ hash >> 32;
}

#endif
