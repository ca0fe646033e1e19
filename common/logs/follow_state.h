/* SPDX-License-Identifier: ISC */
/* follow_state - a log that is followed, as follow.c, choose.c and late.c share
 * it. One thread at a time. */
#ifndef POPGATE_FOLLOW_STATE_H
#define POPGATE_FOLLOW_STATE_H

#include "common/logs/contents.h"
#include "common/logs/logfile.h"

/* A file that holds nothing unread while its size and time stamp stay. */
struct done {
	dev_t dev;
	ino_t ino;
	int64_t size, mtime_ns;
};

/* A file that was read before cur, and may still get lines. */
struct prev {
	struct logfile file;
	int watch; /* of inotify; -1 none */
	int64_t until; /* when it is closed, monotonic ms */
};

enum { DONE_MAX = 512, PREVS = 3, VAIN_MAX = 5 };

struct follow {
	char *path;
	char *dir; /* of path */
	char *rotated; /* or NULL */
	bool missing; /* there is no file at path, which was noted */
	bool behind; /* the file at path isn't cur, and can't be read yet */
	bool blind; /* inotify is out of watches, which was noted */
	int inotify;
	int64_t watched_ms; /* directories were watched then, monotonic */

	struct logfile cur; /* being read; fd -1: none found yet */
	int cur_watch;
	bool unproven; /* another file may hold lines from before cur */
	bool shadow; /* cur may be a copy in the making of a prev */
	struct prev prev[PREVS]; /* the newest first */

	struct content at; /* where reading stood when cur was last open */
	struct contents known; /* what has been read, of which files */
	int vain; /* searches in a row in which a file couldn't be read */
	struct done done[DONE_MAX]; /* a ring */
	size_t done_n;

	void (*note)(void *arg, int priority, const char *text);
	void *note_arg;
};

/* Give a line of text to f's callback, with priority LOG_NOTICE or another. */
void follow_note(const struct follow *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void follow_say(const struct follow *f, int priority, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
