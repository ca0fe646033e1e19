/* SPDX-License-Identifier: ISC */
/* generations - a log file and its rotated predecessors, oldest first.
 * Known names for "mail.log": mail.log.1, .0, .20260303, .old, mail.log-
 * 20260303, mail.log-20260303-1700000000, each also with .gz, .bz2, .xz or
 * .zst, and logrotate's "extension" form mail-20260303.log. No log; one thread
 * at a time. */
#ifndef POPGATE_GENERATIONS_H
#define POPGATE_GENERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct logfile;

struct generation {
	const char *path; /* in generations.text */
	dev_t dev;
	ino_t ino;
	int64_t mtime_ns;
	int64_t size; /* as packed, when it is */
	int64_t number; /* its suffix .N; -1: none, or a date */
	bool packed; /* by its name */
	bool live; /* the log file itself: always the last */
};

struct generations {
	struct generation *v; /* owned, GENERATIONS_MAX */
	size_t n;
	char *text; /* owned */
	size_t text_n;
};

/* List path and its predecessors, those in the directory rotated (NULL: none)
 * too. What is missing is not in it; a directory that is missing gives an
 * empty list. Returns 0, or -1 with ERR_IO or
 * ERR_NOMEM. Release it in both cases. */
int generations_list(const char *path, const char *rotated,
    struct generations *g, struct err *err);
void generations_release(struct generations *g);

/* Is g the open file? */
bool generations_is(const struct generation *g, const struct logfile *file);

/* Is a second list the same? Then what was seen of the files in between, by
 * their names, was true of one moment; a rotation that is under way while we
 * look can't mislead us. */
bool generations_unchanged(
    const char *path, const char *rotated, const struct generations *g);

/* Was it changed at or after mtime_ns? Some packers keep only the second of
 * the time stamp. */
bool generations_not_before(const struct generation *g, int64_t mtime_ns);

/* Does name look like a predecessor of base? For tests. */
bool generations_name(
    const char *base, const char *name, int64_t *number_r, bool *packed_r);

#endif
