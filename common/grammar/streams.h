/* SPDX-License-Identifier: ISC */
/* streams - which outputs of programs were cut in the middle of a line, by
 * journald's _STREAM_ID: their next piece goes on with that line. Pure. */
#ifndef POPGATE_STREAMS_H
#define POPGATE_STREAMS_H

#include <stdbool.h>
#include <stddef.h>

enum {
	STREAM_ID_SIZE = 33, /* 128 bits in hexadecimal, and NUL */
	STREAMS = 256 /* remembered: a power of two */
};

struct stream {
	char id[STREAM_ID_SIZE]; /* "": none */
	bool cut; /* its newest piece */
};

/* By the id's hash, one in each place. All zero: none is known. */
struct streams {
	struct stream v[STREAMS];
};

/* Is that an id? Another one can't be remembered. */
bool stream_id_good(size_t len);

/* The place of this id, which may be another stream's: see stream_is(). */
struct stream *streams_at(struct streams *s, const char *id, size_t len);
bool stream_is(const struct stream *s, const char *id, size_t len);

/* The place is this stream's from now on. */
void stream_set(struct stream *s, const char *id, size_t len, bool cut);

#endif
