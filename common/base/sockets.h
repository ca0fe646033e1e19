/* SPDX-License-Identifier: ISC */
/* sockets - are our Unix sockets still where we made them? A cleaner or a
 * second instance may take the file away: the daemon keeps listening, and
 * nobody can come any more. */
#ifndef POPGATE_SOCKETS_H
#define POPGATE_SOCKETS_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/base/listen.h"

/* Look after a socket that was just made at spec. When its file is gone,
 * sockets_tick() makes another socket, puts it in the place of fd, and then
 * calls moved.
 *   key    the setting, for messages; borrowed for ever
 *   fd     -1: not known to us, so that it can't be made again
 *   mode, gid  as in listen_open()
 *   moved  may be NULL: a caller that waits on fd knows it by its number
 * Nothing to do for inet. Any thread. */
void sockets_keep(const char *key, const struct listen_spec *spec, int fd,
    mode_t mode, gid_t gid, void (*moved)(void *arg), void *arg);

/* fd is about to be closed: remove its file if that is ours, and forget it. */
void sockets_drop(int fd);

/* sockets_drop() of all sockets, at the end of the process. */
void sockets_drop_all(void);

/* Look, and act; once a second however often it is called. One thread. */
void sockets_tick(void);

/* Is each where it was made, or could it be made again? Else the text says
 * which one is gone and why it can't be made again. Any thread. */
enum { SOCKETS_TEXT_MAX = ERR_TEXT_MAX + LISTEN_PATH_MAX + 100 };
bool sockets_good(char text[SOCKETS_TEXT_MAX]);

/* For a health page: "sockets_good", and "sockets_text", null when all are. Any
 * thread. */
void sockets_write(struct json *j);

#endif
