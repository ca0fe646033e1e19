/* SPDX-License-Identifier: ISC */
/* follow - whole lines out of a log file that grows, is rotated by renaming
 * or by copying and truncating, replaced, removed, or not there yet.
 *
 * inotify(7) only says when to look; what is true is found by looking: the
 * inode behind the path, the size, and the first bytes of the file that is
 * being read. So no event can be lost or misread.
 *
 * A file is read to its end before its successor is begun, then kept open for
 * a while, since a syslog daemon keeps writing into it until it is told to
 * reopen. What has been read is known by what it is (contents.h), not by names
 * and inodes: so a log is found again after a restart under whatever name it
 * has then, also packed (unpack.h); and a copy that takes its place, or stands
 * beside it, is read from where the other was left.
 *
 * Logs nothing: notes go to a callback. One thread at a time. */
#ifndef POPGATE_FOLLOW_H
#define POPGATE_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/records/line.h"

struct err;
struct follow;

enum { FOLLOW_LINGER_MS = 5 * 60 * 1000 };

enum follow_state {
	FOLLOW_END, /* all there is has been read */
	FOLLOW_MORE, /* stopped early: call again */
	FOLLOW_MISSING /* there is no such file, nor the one that was read
			* last, or the path is a file that can't be got at:
			* what it says is not known */
};

struct follow_options {
	const char *path; /* copied */
	const char *rotated; /* copied: other directory with predecessors
			      * of it; NULL: none */
	/* where an earlier run ended; NULL at the first start: then rotated
	 * files are read first, if changed at or after since (Unix seconds) */
	const struct mark *mark;
	int64_t since;
	/* what an admin should know: rotation, truncation, gaps, a log that
	 * was never there; priority: of syslog(3) */
	void (*note)(void *arg, int priority, const char *text);
	void *note_arg;
};

/* Opens nothing but inotify: the log need not exist. 0, or -1 with err. */
int follow_open(
    const struct follow_options *options, struct follow **f_r, struct err *err);
void follow_close(struct follow **f); /* NULL-safe; sets NULL */

/* Readable when it is time to look. Look every second in any case: inotify
 * sees nothing of what other machines do on a shared file system. */
int follow_fd(const struct follow *f);

/* Look, and give every new whole line to fn, until it returns false (the line
 * counts as read) or about budget bytes are read.
 * A log that was rotated away and is not begun anew is at its end: the next
 * line makes it. Returns an enum follow_state, or -1 with err (the log can't
 * be read). */
int follow_read(
    struct follow *f, size_t budget, line_fn *fn, void *arg, struct err *err);

/* Where reading stands behind the last line given to fn. The fingerprint says
 * of that file, and of others before it, what has been read (contents.h):
 *   2 horizon[;n:hash position mtime whole dev:inode lines steps]...
 * the first n bytes' hash; the time stamp in nanoseconds; whether nothing was
 * behind position; and hashes of lines, each with its distance to position. */
void follow_mark(struct follow *f, struct mark *mark);

/* Fill in device, inode and position only; mark->fingerprint keeps its text. */
void follow_place(struct follow *f, struct mark *mark);

#endif
