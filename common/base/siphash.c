/* SPDX-License-Identifier: ISC */
#include "common/base/siphash.h"

#include <endian.h>
#include <string.h>

static uint64_t
rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void
rounds(uint64_t v[4], int n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t
little_endian(const unsigned char *p, size_t len)
{
	uint64_t word = 0;

	memcpy(&word, p, len);
	return le64toh(word);
}

uint64_t
siphash(const uint64_t key[2], const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t word,
	    v[4] = { key[0] ^ UINT64_C(0x736f6d6570736575),
		    key[1] ^ UINT64_C(0x646f72616e646f6d),
		    key[0] ^ UINT64_C(0x6c7967656e657261),
		    key[1] ^ UINT64_C(0x7465646279746573) };

	for (size_t left = len; left >= 8; left -= 8, p += 8) {
		word = little_endian(p, 8);
		v[3] ^= word;
		rounds(v, 2);
		v[0] ^= word;
	}
	word = little_endian(p, len % 8) | (uint64_t)len << 56;
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
