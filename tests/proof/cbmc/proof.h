/* SPDX-License-Identifier: ISC */
/* proof.h - what the harnesses for CBMC share. A value of nondet_...() is any;
 * __CPROVER_assume() narrows it, and an assert() that can fail for one that is
 * left is reported with the values that make it fail. */
#ifndef POPGATE_PROOF_H
#define POPGATE_PROOF_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

bool nondet_bool(void);
unsigned char nondet_byte(void);
unsigned nondet_unsigned(void);
int64_t nondet_int64(void);

/* Any bytes; their number is exact, so that a byte too far is out of bounds. */
static inline void
any_bytes(char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)nondet_byte();
}

/* Any string of at most size - 1 bytes. */
static inline void
any_string(char *buf, size_t size)
{
	any_bytes(buf, size - 1);
	buf[size - 1] = '\0';
}

/* --- of libc, what CBMC has no model of --- */

void *
memrchr(const void *s, int c, size_t n)
{
	const unsigned char *p = s;

	while (n > 0)
		if (p[--n] == (unsigned char)c)
			return (void *)(uintptr_t)(p + n);
	return NULL;
}

#endif
