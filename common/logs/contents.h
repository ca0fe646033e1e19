/* SPDX-License-Identifier: ISC */
/* contents - which files have been read, and how far, whatever they are called
 * now: they are known by their first bytes and by the last lines read; follow.c
 * says when to look. So nothing is left out when a log is renamed, copied,
 * packed, restored, or rewritten without its first lines, and nothing counts
 * twice but for what contents.c names. No log; one thread at a time. */
#ifndef POPGATE_CONTENTS_H
#define POPGATE_CONTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/logs/logfile.h"

struct generation;

/* Contents that fit into mark.fingerprint as text; the older ones lose their
 * steps. */
enum { CONTENTS_MAX = 14 };

struct content {
	struct print head;
	int64_t position; /* read up to there */
	struct trail trail; /* what stands before it */
	dev_t dev; /* the file that it was in */
	ino_t ino;
	int64_t mtime_ns; /* of that file, at the last look */
	bool whole; /* nothing was behind position then, for sure */
};

struct contents {
	struct content v[CONTENTS_MAX]; /* the newest last */
	size_t n;
	/* a file that wasn't changed since isn't looked at: older than the
	 * first start asks for, or than what was forgotten */
	int64_t horizon_ns;
};

/* How much of a file has been read. */
struct reading {
	int64_t position;
	struct trail trail; /* what stands before it */
	struct print head; /* of what is before it */
	/* how far the known content that it matched was read, which may be
	 * farther than this file goes; 0: it matched none */
	int64_t was;
	bool whole; /* packed, and for sure nothing behind position */
	bool exact; /* the file holds all that was read of its content;
		     * else less, or it differs behind position */
};

struct err;

struct content content_of(const struct logfile *f);

/* Remember what was read of f, instead of what was known of that same file
 * before. With no more room, forget the oldest. */
void contents_put(struct contents *c, const struct logfile *f);

/* All of file g has been read, as r says: it may be a younger copy of what was
 * read, and is not to be taken for new when that is forgotten. */
void contents_seen(
    struct contents *c, const struct generation *g, const struct reading *r);

/* How much has been read of file g? r is 0 when its path leads to no file or to
 * another one (a new list shows that one), or when it may not be opened
 * (opening it will fail again). open: files that are open, whose bytes can be
 * compared. Returns 0, or -1 with ERR_IO or ERR_NOMEM: it can't be read now,
 * and what it holds is not known. */
int contents_look(const struct contents *c, const struct generation *g,
    const struct logfile *const *open, size_t open_n, struct reading *r,
    struct err *err);

/* The content at (struct mark's position may be in a file that is gone), and
 * all others, as text; and back. Returns false when it can't be read. */
void contents_format(
    const struct contents *c, const struct content *at, char *buf, size_t size);
bool contents_parse(
    struct contents *c, struct content *at, int64_t position, const char *text);

#endif
