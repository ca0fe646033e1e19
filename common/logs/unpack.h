/* SPDX-License-Identifier: ISC */
/* unpack - a file packed by gzip, bzip2, xz or zstd, as a stream of what was
 * in it. Which it is, its first bytes say, not its name. Memory is bounded: a
 * file that needs more to be unpacked (xz -9) is refused. No log; one thread
 * at a time. */
#ifndef POPGATE_UNPACK_H
#define POPGATE_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct unpack;

enum {
	UNPACK_MEMORY = 32 * 1024 * 1024, /* of an unpacker, about */
	UNPACK_SUFFIX_MAX = 4
};

/* Begin to unpack what is behind fd, from its offset 0; the offset of the
 * descriptor is used. Returns 1 with *u_r, who owns fd now; 0 when it isn't
 * packed: fd is at offset 0 and the caller's; -1 with err (ERR_NOMEM, ERR_IO)
 * and fd the caller's. */
int unpack_open(int fd, struct unpack **u_r, struct err *err);
void unpack_close(struct unpack **u); /* NULL-safe; closes fd; sets NULL */

/* Returns bytes (size is not 0), 0 at the end, or -1: with ERR_CORRUPT the rest
 * is damaged, or cut off; with ERR_IO it can't be read now. What was given out
 * before is good. */
ssize_t unpack_read(struct unpack *u, void *buf, size_t size, struct err *err);

/* Length of ".gz", ".bz2", ".xz" or ".zst" at the end of a file's name; 0. */
size_t unpack_suffix(const char *name, size_t len);

#endif
