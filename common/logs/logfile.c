/* SPDX-License-Identifier: ISC */
#include "common/logs/logfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fnv.h"
#include "common/logs/unpack.h"

enum {
	COMPARE = 3 * 1024, /* bytes at a time */
	REST_MS = 100 /* of a file that isn't being written; a time stamp is
		       * only as fine as the kernel's tick */
};

/* No secret: one who can write into the log can write logins. */
static uint64_t
hash_of(const unsigned char *p, size_t n)
{
	return fnv_add(FNV_START, p, n);
}

static size_t
least(int64_t a, size_t b)
{
	assert(a >= 0);
	return a < (int64_t)b ? (size_t)a : b;
}

static void
take_stat(struct logfile *f, const struct stat *st)
{
	f->dev = st->st_dev;
	f->ino = st->st_ino;
	f->mtime_ns =
	    (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* Read up to n bytes from offset, also when the kernel gives less at once. */
static ssize_t
pread_all(int fd, void *buf, size_t n, off_t offset)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r =
		    pread(fd, (char *)buf + got, n - got, offset + (off_t)got);

		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

/* Up to n bytes of what was packed; fewer at its end, or where it is damaged,
 * which shows again when the rest is read. -1: it can't be read now. */
static ssize_t
unpack_all(struct unpack *u, void *buf, size_t n)
{
	struct err err = { 0 };
	size_t got = 0;
	ssize_t r = 1;

	while (got < n && r > 0) {
		r = unpack_read(u, (char *)buf + got, n - got, &err);
		got += r > 0 ? (size_t)r : 0;
	}
	return r == -1 && err.code != ERR_CORRUPT ? -1 : (ssize_t)got;
}

/* Pass by what has been read before. */
static int
skip_packed(struct logfile *f, int64_t position, struct err *err)
{
	char buf[4096], last = '\n';
	ssize_t n =
	    unpack_all(f->packed, f->head, least(position, LOGFILE_HEAD));

	f->head_n = n > 0 ? (size_t)n : 0;
	if (f->head_n > 0)
		last = (char)f->head[f->head_n - 1];
	for (int64_t at = (int64_t)f->head_n; at < position && n > 0;) {
		n = unpack_all(
		    f->packed, buf, least(position - at, sizeof(buf)));
		if (n > 0)
			last = buf[n - 1];
		at += n;
	}
	f->lines.skipping = last != '\n';
	if (n == -1)
		err_set(err, ERR_IO, "%s", strerror(errno));
	return n == -1 ? -1 : 0;
}

/* Not behind a newline, a "line" would begin with bytes that a client may
 * have chosen: skip to the next. Returns 1, 0, or -1 when it can't be read. */
static int
inside_line(int fd, int64_t position)
{
	char last = '\n';

	if (position > 0 && pread_all(fd, &last, 1, (off_t)position - 1) == -1)
		return -1;
	return last != '\n';
}

static int
open_plain(struct logfile *f, int64_t position, struct err *err)
{
	ssize_t n = pread_all(f->fd, f->head, least(position, LOGFILE_HEAD), 0);

	int inside = inside_line(f->fd, position);

	if (n == -1 || inside == -1) {
		err_set(err, ERR_IO, "%s", strerror(errno));
		return -1;
	}
	f->head_n = (size_t)n;
	f->lines.skipping = inside;
	return 0;
}

int
logfile_move(struct logfile *f, int64_t position)
{
	assert(f->fd != -1 && position >= 0);
	int inside = inside_line(f->fd, position);

	if (inside == -1)
		return -1;
	lines_restart(&f->lines, position);
	f->lines.skipping = inside;
	return 0;
}

/* The first-hour failure of all who read logs: say whose it is. */
static int
open_error(const char *path, int error, struct err *err)
{
	struct stat st;

	if (error == EACCES && stat(path, &st) == 0)
		err_set(err, ERR_IO,
		    "%s: %s (it has mode %04o, owner %u:%u; we are %u:%u)",
		    path, strerror(error), (unsigned)(st.st_mode & 07777),
		    (unsigned)st.st_uid, (unsigned)st.st_gid,
		    (unsigned)geteuid(), (unsigned)getegid());
	else
		err_set(err, ERR_IO, "%s: %s", path, strerror(error));
	errno = error;
	return -1;
}

int
logfile_open(
    struct logfile *f, const char *path, int64_t position, struct err *err)
{
	struct err why = { 0 };
	struct stat st;

	assert(position >= 0);
	f->packed = NULL;
	f->head_n = 0;
	f->whole = false;
	f->trail = (struct trail){ 0 };
	/* O_NONBLOCK: a FIFO in its place must not hang us */
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (f->fd == -1) {
		int why_not = errno;

		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return open_error(path, why_not, err);
	}
	f->lines.buf = NULL;
	if (fstat(f->fd, &st) == -1) {
		err_set(&why, ERR_IO, "%s", strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		err_set(&why, ERR_IO, "no regular file");
	} else if (!lines_init(&f->lines, position)) {
		err_set(&why, ERR_NOMEM, "out of memory");
	} else {
		int packed = unpack_open(f->fd, &f->packed, &why);

		take_stat(f, &st);
		if ((packed == 1 && skip_packed(f, position, &why) == 0) ||
		    (packed == 0 && open_plain(f, position, &why) == 0))
			return 1;
	}
	logfile_close(f);
	errno = 0;
	err_set(err, why.code, "%s: %s", path, why.text);
	return -1;
}

void
logfile_close(struct logfile *f)
{
	if (f->fd == -1)
		return;
	if (f->packed != NULL)
		unpack_close(&f->packed);
	else
		(void)close(f->fd);
	lines_release(&f->lines);
	f->fd = -1;
}

int64_t
logfile_size(const struct logfile *f)
{
	struct stat st;

	return f->packed != NULL || fstat(f->fd, &st) == -1 ? -1 : st.st_size;
}

bool
logfile_head_same(const struct logfile *f)
{
	unsigned char head[LOGFILE_HEAD];

	return f->packed != NULL || f->head_n == 0 ||
	    (pread_all(f->fd, head, f->head_n, 0) == (ssize_t)f->head_n &&
		memcmp(head, f->head, f->head_n) == 0);
}

bool
logfile_changed(const struct logfile *f)
{
	return f->packed == NULL &&
	    (logfile_size(f) < lines_read_offset(&f->lines) ||
		!logfile_head_same(f));
}

/* Data that follows the head without a gap makes the head longer. */
static void
take_head(struct logfile *f, const char *data, size_t n, int64_t offset)
{
	if (offset != (int64_t)f->head_n || f->head_n == LOGFILE_HEAD)
		return;
	if (n > LOGFILE_HEAD - f->head_n)
		n = LOGFILE_HEAD - f->head_n;
	assert(f->head_n + n <= LOGFILE_HEAD);
	memcpy(f->head + f->head_n, data, n);
	f->head_n += n;
}

static ssize_t
fill_packed(struct logfile *f, char *room, size_t size, struct err *err)
{
	ssize_t n = unpack_read(f->packed, room, size, err);

	f->whole = n == 0;
	return n;
}

/* Returns bytes, -1, or -2 for "changed". Looks at size and head after it
 * has read: what was read before a truncation that we then notice is thrown
 * away here and found again in the copy, if there is one. */
static ssize_t
fill_plain(
    struct logfile *f, char *room, size_t size, int64_t offset, struct err *err)
{
	struct stat st;
	ssize_t n;

	assert(f->packed == NULL && offset >= 0);
	do
		n = pread(f->fd, room, size, (off_t)offset);
	while (n == -1 && errno == EINTR);
	if (n == -1 || fstat(f->fd, &st) == -1) {
		err_set(err, ERR_IO, "%s", strerror(errno));
		return -1;
	}
	if (st.st_size < offset + n || !logfile_head_same(f))
		return -2;
	take_stat(f, &st);
	f->whole = st.st_size == offset + n &&
	    clock_now_ms() - f->mtime_ns / 1000000 > REST_MS;
	return n;
}

int
logfile_fill(struct logfile *f, struct err *err)
{
	int64_t offset;
	size_t size;
	char *room = lines_room(&f->lines, &size);
	ssize_t n;

	assert(f->fd != -1 && f->head_n <= LOGFILE_HEAD);
	offset = lines_read_offset(&f->lines);
	n = f->packed != NULL ? fill_packed(f, room, size, err)
			      : fill_plain(f, room, size, offset, err);
	if (n == -1)
		return -1;
	if (n == -2)
		return LOGFILE_CHANGED;
	if (n == 0)
		return LOGFILE_END;
	take_head(f, room, (size_t)n, offset);
	lines_added(&f->lines, (size_t)n);
	return LOGFILE_DATA;
}

struct print
print_of(const unsigned char *head, size_t n)
{
	assert(n <= LOGFILE_HEAD);
	return (struct print){ .n = n, .hash = hash_of(head, n) };
}

struct print
logfile_print(const struct logfile *f)
{
	return print_of(f->head, least(f->lines.mark, f->head_n));
}

ssize_t
logfile_peek(struct logfile *f, unsigned char *head)
{
	assert(f->lines.mark == 0);
	return f->packed != NULL ? unpack_all(f->packed, head, LOGFILE_HEAD)
				 : pread_all(f->fd, head, LOGFILE_HEAD, 0);
}

/* How many of n bytes at offset are the same; *line_r is the offset behind
 * the last newline of these, if there is one. -1 when they can't be read. */
static ssize_t
common_block(int a, int b, int64_t offset, size_t n, int64_t *line_r)
{
	char one[COMPARE], two[COMPARE];

	assert(n <= COMPARE);
	ssize_t n_one = pread_all(a, one, n, (off_t)offset);
	ssize_t n_two = pread_all(b, two, n, (off_t)offset);
	ssize_t same = 0;

	if (n_one == -1 || n_two == -1)
		return -1;
	while (same < n_one && same < n_two && one[same] == two[same]) {
		if (one[same] == '\n')
			*line_r = offset + same + 1;
		same++;
	}
	return same;
}

int64_t
logfile_common(const struct logfile *a, const struct logfile *b, int64_t n)
{
	int64_t line = 0;
	size_t edge = least(n, LOGFILE_HEAD);
	ssize_t same;

	assert(a->packed == NULL && b->packed == NULL);
	/* lines have time stamps: with the same first and last ones at the
	 * same offsets, there is nothing else between them */
	same = common_block(a->fd, b->fd, 0, edge, &line);
	if (same == (ssize_t)edge)
		same =
		    common_block(a->fd, b->fd, n - (int64_t)edge, edge, &line);
	if (same == (ssize_t)edge)
		return n;
	line = 0;
	for (int64_t at = 0; at < n && same != -1;) {
		size_t size = least(n - at, COMPARE);

		same = common_block(a->fd, b->fd, at, size, &line);
		if (same < (ssize_t)size)
			break;
		at += same;
	}
	return same == -1 ? -1 : line;
}

int64_t
logfile_line_start(const struct logfile *f, int64_t n)
{
	char buf[1024];

	assert(f->packed == NULL);
	while (n > 0) {
		size_t size = least(n, sizeof(buf));
		ssize_t got =
		    pread(f->fd, buf, size, (off_t)(n - (int64_t)size));

		if (got != (ssize_t)size)
			return got == -1 ? -1 : 0;
		const char *nl = memrchr(buf, '\n', size);

		n -= (int64_t)size;
		if (nl != NULL)
			return n + (nl - buf) + 1;
	}
	return 0;
}
