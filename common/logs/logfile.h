/* SPDX-License-Identifier: ISC */
/* logfile - one log file, plain or packed (unpack.h), read line by line, and
 * its fingerprint: a hash of its first bytes, by which it is known again after
 * it was renamed, copied, compressed, or its inode number was given to another
 * file. No log; one thread at a time. */
#ifndef POPGATE_LOGFILE_H
#define POPGATE_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/logs/lines.h"
#include "common/logs/trail.h"

struct err;

enum { LOGFILE_HEAD = 1024 }; /* bytes that a fingerprint covers at most */

/* A hash of a file's first n bytes, all of which have been read as whole lines.
 * n is 0 where nothing has been read: such a print is no evidence of
 * anything. */
struct print {
	size_t n;
	uint64_t hash;
};

struct logfile {
	int fd; /* -1: not open */
	struct unpack *packed; /* owns fd; NULL for a plain file */
	dev_t dev;
	ino_t ino;
	int64_t mtime_ns; /* at the last look */
	bool whole; /* all of it had been read then, and it was at rest */
	struct lines lines;
	struct trail trail; /* before lines.mark: kept by the caller */
	size_t head_n;
	unsigned char head[LOGFILE_HEAD];
};

enum logfile_state {
	LOGFILE_DATA, /* something was read: call lines_next() */
	LOGFILE_END, /* nothing behind what was read, for now */
	LOGFILE_CHANGED /* not the file that we have read any more */
};

/* Open path to read from position; when that is inside a line, the rest of
 * the line is given out as one that is too long. Returns 1, 0 when there is no
 * such file, or -1 with ERR_IO (also for no regular file) or ERR_NOMEM; errno
 * is EACCES when it is not for us. */
int logfile_open(
    struct logfile *f, const char *path, int64_t position, struct err *err);
void logfile_close(struct logfile *f); /* also when it isn't open */

/* Go on elsewhere in a plain file. Returns 0, or -1 when it can't be read
 * there, with errno; nothing has moved then. */
int logfile_move(struct logfile *f, int64_t position);

/* Read once into f->lines. LOGFILE_CHANGED (plain files only) means that the
 * file was cut off, or begins otherwise than before; nothing was added, and
 * f->lines.mark still says what has been read of the old content.
 * Returns an enum logfile_state, or -1 with ERR_IO. */
int logfile_fill(struct logfile *f, struct err *err);

/* Size of a plain file now; -1 if it can't be told. */
int64_t logfile_size(const struct logfile *f);

/* Does the file still begin with what we have read of its head? */
bool logfile_head_same(const struct logfile *f);

/* Was a plain file cut off, or written anew, since it was read? */
bool logfile_changed(const struct logfile *f);

struct print print_of(const unsigned char *head, size_t n);
struct print logfile_print(const struct logfile *f);

/* The first bytes of a file that was opened at 0, up to LOGFILE_HEAD; nothing
 * else can be done with a packed one then. Returns how many, or -1 when they
 * can't be read. */
ssize_t logfile_peek(struct logfile *f, unsigned char *head);

/* How many of the first n bytes are the same in two plain files? Less than n
 * is cut down to whole lines. -1 when one can't be read. */
int64_t
logfile_common(const struct logfile *a, const struct logfile *b, int64_t n);

/* Where the line begins that the byte before n of a plain file is of; n itself
 * behind a newline. -1 when it can't be read. */
int64_t logfile_line_start(const struct logfile *f, int64_t n);

#endif
