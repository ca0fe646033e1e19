/* SPDX-License-Identifier: ISC */
/* place - put a file into a directory that others may write, too.
 *
 * A name is looked up anew at each use, and whoever may write the directory
 * can put another file, or a symbolic link, under it in between. So the
 * directory is opened once, the new file is made by us (O_EXCL) and owner and
 * mode are set on its descriptor, and no step follows a link. For root the way
 * to the directory counts as well: what a user put into a directory of his own
 * may lead only to what belongs to that user.
 * Logs nothing; a place is used by one thread at a time. */
#ifndef POPGATE_PLACE_H
#define POPGATE_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct err;
struct stat;

struct place {
	const char *path; /* borrowed, for messages */
	int dir;
	int private_dir; /* -1, or a directory that only we may write */
	char name[NAME_MAX + 1];
	char temporary[NAME_MAX + 1]; /* "": nothing was made */
};

/* A struct place that is in no use. */
#define PLACE_NONE                           \
	(struct place)                       \
	{                                    \
		.dir = -1, .private_dir = -1 \
	}

/* Open the directory of path, which need not be there itself.
 *   path  borrowed until place_close()
 * 0, or -1 with err; then place_close() isn't needed, but does no harm. */
int place_open(struct place *p, const char *path, struct err *err);
void place_close(struct place *p);

/* Make a new file beside path, with mode 0600, open for writing. Returns its
 * descriptor, which is the caller's, or -1 with err. */
int place_create(struct place *p, struct err *err);

enum { PLACE_PRIVATE_MAX = 64 };

/* Prepare a new file for a library that opens by name: name_r, of
 * PLACE_PRIVATE_MAX bytes, is a name below a new directory that nobody else may
 * write, good until place_close(). place_created() opens what was made there.
 */
int place_create_private(struct place *p, char *name_r, struct err *err);
int place_created(struct place *p, struct err *err);

/* Give the file, whose descriptor is fd, owner and mode of the regular file at
 * path, or mode when there is none; make it durable; rename it to path.
 *   st_r  what fstat(2) says of it then; may be NULL
 * 0, or -1 with err. */
int place_commit(
    struct place *p, int fd, mode_t mode, struct stat *st_r, struct err *err);

/* Remove what was made and not committed. */
void place_abort(struct place *p);

/* Remove what writers of path that were killed have left beside it. */
void place_clean(struct place *p);

/* Remove path; 0 also when it isn't there, or -1 with err. */
int place_remove(struct place *p, struct err *err);

/* Make path a file without contents, without needing room for another one;
 * where that might change a file that belongs elsewhere, remove it. 0, also
 * when it isn't there, or -1 with err. */
int place_truncate(struct place *p, struct err *err);

/* Set group and mode of the socket that we have bound at path: a name that
 * its directory's owner may have given to something else by now.
 *   gid  (gid_t)-1: as it is
 * 0, or -1 with err. */
int place_socket(const char *path, mode_t mode, gid_t gid, struct err *err);

#endif
