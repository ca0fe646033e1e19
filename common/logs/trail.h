/* SPDX-License-Identifier: ISC */
/* trail - what stands before a place in a log: hashes of its last lines, and
 * of some farther back, the fewer the farther, and of the first ones. By them
 * the place is found again in a file that begins otherwise (somebody deleted
 * its first lines), or that somebody made shorter. No system call but pread(2),
 * no log. */
#ifndef POPGATE_TRAIL_H
#define POPGATE_TRAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line;

enum {
	TRAIL_RECENT = 4, /* lines that follow one another */
	TRAIL_STEPS = 24, /* older ones */
	TRAIL_FIRST = 8, /* of the log */
	TRAIL_BEGIN = 3 /* of these, enough to know it */
};

/* A whole line: the offset behind it, and the hash of its text; 0 for a line
 * that is too long, whose text isn't known: equal to any. */
struct step {
	int64_t end;
	uint64_t hash;
};

struct trail {
	size_t recent_n, step_n, first_n;
	uint64_t lines; /* pushed, to thin out the steps */
	struct step first[TRAIL_FIRST]; /* the others: newest first */
	struct step recent[TRAIL_RECENT];
	struct step step[TRAIL_STEPS];
};

/* The line was read; end is the offset behind its newline. */
void trail_push(struct trail *t, const struct line *line, int64_t end);

/* The lines that end at position, which is behind a newline: those before it
 * in the plain file fd. Fewer, also none, where a
 * line isn't whole. Returns false when the file can't be read; errno says why.
 */
bool trail_load(struct trail *t, int fd, int64_t position);

/* Cut t to the first position bytes; recent holds the lines that end there. */
void trail_cut(struct trail *t, const struct trail *recent, int64_t position);

/* Do the newest lines agree, as far as both know them? */
bool trail_same(const struct trail *a, const struct trail *b);

/* now is what stands before a place in another file. Is that place in old?
 * Returns how many lines before old's end it is; -1: it can't be told. */
int trail_find(const struct trail *old, const struct trail *now);

/* Is the newest line of now a line of old, at the same offset? */
bool trail_has(const struct trail *old, const struct trail *now);

/* Does now, which is all of a file, begin with the same lines, those that are
 * known of old? Returns up to where; 0 no. */
int64_t trail_begins(const struct trail *old, const struct trail *now);

#endif
