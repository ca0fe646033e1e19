/* SPDX-License-Identifier: ISC */
/* file_watch - have files changed since they were read, and are they at rest?
 * For lists that an admin edits in place: a file that is being written, that is
 * gone or has become empty must not pass for what its owner wanted. One
 * thread at a time. */
#ifndef POPGATE_FILE_WATCH_H
#define POPGATE_FILE_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/strings.h"

struct file_watch;

enum {
	FILE_WATCH_REST_MS = 2000, /* this long without a change is at rest */
	FILE_WATCH_RETRY_MS = 60000 /* CHANGED is said again, while it holds */
};

enum file_watch_state {
	FILE_WATCH_SAME, /* as they were read, or nothing new to say */
	FILE_WATCH_CHANGED, /* at rest, and not as they were read */
	FILE_WATCH_GONE, /* one that was there is not; said once */
	FILE_WATCH_EMPTY, /* one that had something in it has not; said once */
	FILE_WATCH_BACK /* as they were read again, after one of these */
};

struct file_watch *
file_watch_new(void); /* of no files; NULL when memory is short */
void file_watch_free(struct file_watch *w); /* NULL-safe */

/* Watch these files from now on, and those that postmap(1) makes of them
 * (.db, .lmdb, .cdb, .pag).
 *   read_ms  Unix time, ms: when reading them began. What was written since
 *            then may have been read in part, and counts as changed.
 * 0, or -1 when memory is short: then w watches nothing. */
int file_watch_files(struct file_watch *w,
    const struct string_list *const lists[], size_t n, int64_t read_ms);

/* Look, every second or two.
 *   now_ms  of clock_monotonic_ms()
 *   path_r  a file that the state is about; of w */
enum file_watch_state
file_watch_look(struct file_watch *w, int64_t now_ms, const char **path_r);

#endif
