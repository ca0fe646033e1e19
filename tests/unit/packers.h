/* SPDX-License-Identifier: ISC */
/* packers - what gzip, bzip2, xz and zstd make of some bytes, for tests. */
#ifndef POPGATE_TEST_PACKERS_H
#define POPGATE_TEST_PACKERS_H

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/unit/unit.h"

static const char *const pack_suffixes[] = { ".gz", ".bz2", ".xz", ".zst" };

enum { PACKERS = 4, PACK_XZ = 2 };

/* Pack the n bytes at in into out of size; returns how many there are.
 *   level  as the packers' own -1 to -9 */
static size_t
pack_bytes(
    int packer, int level, const void *in, size_t n, void *out, size_t size)
{
	unsigned bz_size = (unsigned)size;
	z_stream z = { 0 };
	size_t got = 0;

	switch (packer) {
	case 0:
		assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8,
				     Z_DEFAULT_STRATEGY),
		    Z_OK);
		z.next_in = (Bytef *)(uintptr_t)in;
		z.avail_in = (uInt)n;
		z.next_out = out;
		z.avail_out = (uInt)size;
		assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
		got = z.total_out;
		assert_int_equal(deflateEnd(&z), Z_OK);
		return got;
	case 1:
		assert_int_equal(
		    BZ2_bzBuffToBuffCompress(out, &bz_size,
			(char *)(uintptr_t)in, (unsigned)n, level, 0, 0),
		    BZ_OK);
		return bz_size;
	case PACK_XZ:
		assert_int_equal(
		    lzma_easy_buffer_encode((uint32_t)level, LZMA_CHECK_CRC64,
			NULL, in, n, out, &got, size),
		    LZMA_OK);
		return got;
	default:
		got = ZSTD_compress(out, size, in, n, level);
		assert_false(ZSTD_isError(got));
		return got;
	}
}

#endif
