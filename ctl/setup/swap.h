/* SPDX-License-Identifier: ISC */
/* swap - a file replaced in one step, with its old contents kept beside it
 * until they aren't needed any more: they can be put back by a rename, which
 * takes no room on the disk. Owner, mode and extended attributes stay. */
#ifndef POPGATE_SWAP_H
#define POPGATE_SWAP_H

#include <stddef.h>
#include <sys/types.h>

#include "common/base/place.h"

struct err;

/* One file that is being replaced. PATH.popgate-old is the old one's second
 * name from swap_make() until swap_done() or swap_back(). */
struct swap {
	struct place place;
	int fd; /* the new file; -1: there is none */
};

#define SWAP_NONE              \
	(struct swap)          \
	{                      \
		PLACE_NONE, -1 \
	}

/* Write the new contents beside path, durable, under a name of their own.
 *   path  borrowed until swap_close()
 *   like  a file whose extended attributes the new one gets; NULL: of path
 *   mode  of a file that wasn't there
 *   times  like's time of change, too: the file is as it was
 * 0, or -1 with err; then nothing is left beside path. */
int swap_stage(struct swap *s, const char *path, const char *text, size_t len,
    const char *like, mode_t mode, int times, struct err *err);

/* Put it into its place: a reader of path finds the old file or the new one.
 *   keep  the old one keeps a second name, for swap_back()
 * 0, or -1 with err. */
int swap_make(struct swap *s, mode_t mode, int keep, struct err *err);

/* Remove what was staged and not put into its place; release. */
void swap_close(struct swap *s);

/* Put the old file back by its second name, if it has one and holds text.
 * Returns 1 when it is back, 0 when it has none, -1 with err. */
int swap_back(const char *path, const char *text, size_t len, struct err *err);

/* Remove the old file's second name, and what writers of path that were killed
 * have left beside it. */
void swap_done(const char *path);

/* --- whole files --- */

/* Give the file open at to what the one open at from has: owner, mode,
 * extended attributes, times. 0, or -1 with errno. */
int swap_attributes(int from, int to);

/* The regular file at path, which may be no symbolic link: to be freed by the
 * caller. Returns 1, 0 when it isn't there, -1 with err. */
int swap_read(const char *path, char **text_r, size_t *len_r, struct err *err);

#endif
