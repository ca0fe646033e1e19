/* SPDX-License-Identifier: ISC */
#include "common/logs/unpack.h"

#include <assert.h>
#include <bzlib.h>
#include <errno.h>
#include <limits.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "common/base/err.h"

enum { IN_SIZE = 64 * 1024, MAGIC_MAX = 6 };

/* The result of a library's step. */
enum step { STEP_GOES_ON, STEP_END, STEP_DAMAGED };

/* One step: input from u->next (u->left bytes), output to buf. Both are moved
 * on. */
struct format {
	const char *suffix;
	const char *magic;
	bool (*begin)(struct unpack *u);
	enum step (*step)(struct unpack *u, char **out, size_t *room);
	void (*end)(struct unpack *u);
};

struct unpack {
	const struct format *format;
	int fd;
	char *next; /* input not used yet: in in[] */
	size_t left;
	bool in_end; /* there is no more of it */
	bool inside; /* begun, and not ended: more must come */
	bool damaged;
	union {
		z_stream gz;
		bz_stream bz;
		lzma_stream xz;
		ZSTD_DStream *zst;
	};
	char in[IN_SIZE];
};

/* --- gzip --- */

static bool
gz_begin(struct unpack *u)
{
	u->gz = (z_stream){ 0 };
	return inflateInit2(&u->gz, 15 + 16) == Z_OK; /* gzip's header only */
}

static enum step
gz_step(struct unpack *u, char **out, size_t *room)
{
	u->gz.next_in = (Bytef *)u->next;
	u->gz.avail_in = (uInt)u->left;
	u->gz.next_out = (Bytef *)*out;
	u->gz.avail_out = (uInt)*room;
	int rc = inflate(&u->gz, Z_NO_FLUSH);

	u->next = (char *)u->gz.next_in;
	u->left = u->gz.avail_in;
	*out = (char *)u->gz.next_out;
	*room = u->gz.avail_out;
	if (rc == Z_STREAM_END)
		return inflateReset(&u->gz) == Z_OK ? STEP_END : STEP_DAMAGED;
	return rc == Z_OK || rc == Z_BUF_ERROR ? STEP_GOES_ON : STEP_DAMAGED;
}

static void
gz_end(struct unpack *u)
{
	(void)inflateEnd(&u->gz);
}

/* --- bzip2 --- */

static bool
bz_begin(struct unpack *u)
{
	u->bz = (bz_stream){ 0 };
	return BZ2_bzDecompressInit(&u->bz, 0, 0) == BZ_OK;
}

static enum step
bz_step(struct unpack *u, char **out, size_t *room)
{
	u->bz.next_in = u->next;
	u->bz.avail_in = (unsigned)u->left;
	u->bz.next_out = *out;
	u->bz.avail_out = (unsigned)*room;
	int rc = BZ2_bzDecompress(&u->bz);

	u->next = u->bz.next_in;
	u->left = u->bz.avail_in;
	*out = u->bz.next_out;
	*room = u->bz.avail_out;
	if (rc == BZ_STREAM_END) {
		(void)BZ2_bzDecompressEnd(&u->bz);
		return bz_begin(u) ? STEP_END : STEP_DAMAGED;
	}
	return rc == BZ_OK ? STEP_GOES_ON : STEP_DAMAGED;
}

static void
bz_end(struct unpack *u)
{
	(void)BZ2_bzDecompressEnd(&u->bz);
}

/* --- xz --- */

static bool
xz_begin(struct unpack *u)
{
	u->xz = (lzma_stream)LZMA_STREAM_INIT;
	return lzma_stream_decoder(&u->xz, UNPACK_MEMORY, 0) == LZMA_OK;
}

static void
xz_end(struct unpack *u)
{
	lzma_end(&u->xz);
}

static enum step
xz_step(struct unpack *u, char **out, size_t *room)
{
	u->xz.next_in = (const uint8_t *)u->next;
	u->xz.avail_in = u->left;
	u->xz.next_out = (uint8_t *)*out;
	u->xz.avail_out = *room;
	lzma_ret rc = lzma_code(&u->xz, LZMA_RUN);

	u->next += u->left - u->xz.avail_in;
	u->left = u->xz.avail_in;
	*out = (char *)u->xz.next_out;
	*room = u->xz.avail_out;
	if (rc == LZMA_STREAM_END) {
		xz_end(u);
		return xz_begin(u) ? STEP_END : STEP_DAMAGED;
	}
	return rc == LZMA_OK || rc == LZMA_BUF_ERROR ? STEP_GOES_ON
						     : STEP_DAMAGED;
}

/* --- zstd --- */

static void
zst_end(struct unpack *u)
{
	(void)ZSTD_freeDStream(u->zst);
}

static bool
zst_begin(struct unpack *u)
{
	enum { WINDOW_LOG = 25 }; /* 32 MiB */

	u->zst = ZSTD_createDStream();
	if (u->zst == NULL)
		return false;
	if (!ZSTD_isError(ZSTD_DCtx_setParameter(
		u->zst, ZSTD_d_windowLogMax, WINDOW_LOG)))
		return true;
	zst_end(u);
	return false;
}

static enum step
zst_step(struct unpack *u, char **out, size_t *room)
{
	ZSTD_inBuffer in = { .src = u->next, .size = u->left };
	ZSTD_outBuffer to = { .dst = *out, .size = *room };
	size_t rc = ZSTD_decompressStream(u->zst, &to, &in);

	u->next += in.pos;
	u->left -= in.pos;
	*out += to.pos;
	*room -= to.pos;
	return ZSTD_isError(rc) ? STEP_DAMAGED
	    : rc == 0           ? STEP_END
				: STEP_GOES_ON;
}

static const struct format formats[] = { { ".gz", "\x1f\x8b", gz_begin, gz_step,
					     gz_end },
	{ ".bz2", "BZh", bz_begin, bz_step, bz_end },
	{ ".xz",
	    "\xfd"
	    "7zXZ",
	    xz_begin, xz_step, xz_end },
	{ ".zst", "\x28\xb5\x2f\xfd", zst_begin, zst_step, zst_end } };

enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

size_t
unpack_suffix(const char *name, size_t len)
{
	for (size_t i = 0; i < FORMATS; i++) {
		size_t n = strlen(formats[i].suffix);

		if (len > n &&
		    memcmp(name + len - n, formats[i].suffix, n) == 0)
			return n;
	}
	return 0;
}

static const struct format *
format_of(const char *head, size_t len)
{
	for (size_t i = 0; i < FORMATS; i++) {
		size_t n = strlen(formats[i].magic);

		if (len >= n && memcmp(head, formats[i].magic, n) == 0)
			return &formats[i];
	}
	return NULL;
}

int
unpack_open(int fd, struct unpack **u_r, struct err *err)
{
	char head[MAGIC_MAX];
	ssize_t n = pread(fd, head, sizeof(head), 0);
	const struct format *format = format_of(head, n < 0 ? 0 : (size_t)n);

	*u_r = NULL;
	if (n == -1 || lseek(fd, 0, SEEK_SET) == -1) {
		err_set(err, ERR_IO, "%s", strerror(errno));
		return -1;
	}
	if (format == NULL)
		return 0;
	struct unpack *u = malloc(sizeof(*u));

	if (u != NULL) {
		u->format = format;
		u->fd = fd;
		u->next = u->in;
		u->left = 0;
		u->in_end = u->inside = u->damaged = false;
		if (format->begin(u)) {
			*u_r = u;
			return 1;
		}
		free(u);
	}
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

void
unpack_close(struct unpack **u)
{
	if (*u == NULL)
		return;
	(*u)->format->end(*u);
	(void)close((*u)->fd);
	free(*u);
	*u = NULL;
}

/* More input, when there is none left. False: it can't be read. */
static bool
refill(struct unpack *u, struct err *err)
{
	ssize_t n;

	if (u->left > 0 || u->in_end)
		return true;
	do
		n = read(u->fd, u->in, sizeof(u->in));
	while (n == -1 && errno == EINTR);
	if (n == -1) {
		err_set(err, ERR_IO, "%s", strerror(errno));
		return false;
	}
	u->next = u->in;
	u->left = (size_t)n;
	u->in_end = n == 0;
	return true;
}

ssize_t
unpack_read(struct unpack *u, void *buf, size_t size, struct err *err)
{
	char *out = buf;
	size_t room = size;

	assert(size > 0 && size <= UINT_MAX);
	while (room == size) {
		if (!u->damaged && !refill(u, err))
			return -1;
		if (u->damaged) {
			err_set(err, ERR_CORRUPT,
			    "can't unpack: damaged, cut off, or needs too much memory");
			return -1;
		}
		if (u->left == 0 && !u->inside)
			return 0;
		/* behind the end of a stream: another, or what isn't ours, as
		 * tapes and disks add it */
		if (!u->inside && *u->next != *u->format->magic)
			return 0;
		size_t before = u->left;
		enum step step = u->format->step(u, &out, &room);

		u->inside = step == STEP_GOES_ON;
		/* what was unpacked before the damage is given out first */
		assert(room <= size && u->left <= before);
		u->damaged = step == STEP_DAMAGED ||
		    (u->inside && room == size && u->in_end &&
			u->left == before);
	}
	return (ssize_t)(size - room);
}
