/* SPDX-License-Identifier: ISC */
/* lines - whole lines out of a stream of bytes, in bounded memory.
 * A line ends with a newline; what stands behind the last one waits. A line
 * longer than LINES_MAX is passed on as "too long" without its text, however
 * long it is. No system call, no log; one thread at a time. */
#ifndef POPGATE_LINES_H
#define POPGATE_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/records/line.h"

enum {
	LINES_MAX = 8192, /* bytes of a line, without newline */
	LINES_BUFFER = 128 * 1024
};

struct lines {
	char *buf; /* owned, LINES_BUFFER */
	size_t head; /* first byte of the line that is next */
	size_t scan; /* no newline from head up to here */
	size_t tail; /* end of what was read */
	int64_t base; /* offset of buf[0] in the source */
	int64_t mark; /* offset behind the last line given out */
	bool skipping; /* inside a line that is too long */
};

/* Begin at offset. Returns false when memory is short. */
bool lines_init(struct lines *l, int64_t offset);
void lines_release(struct lines *l);

/* Forget what is buffered and go on at offset. */
void lines_restart(struct lines *l, int64_t offset);

/* Where the next bytes go, and how many fit (never 0 while lines_next() has
 * been called until it said false). They are those at lines_read_offset(). */
char *lines_room(struct lines *l, size_t *room_r);
int64_t lines_read_offset(const struct lines *l);
void lines_added(struct lines *l, size_t n);

/* The next whole line; valid until lines_room(). */
bool lines_next(struct lines *l, struct line *line);

#endif
