/* SPDX-License-Identifier: ISC */
/* exim_copy - an Exim in the room (room.h). It says itself what its settings
 * are: "exim -bP". */
#ifndef POPGATE_EXIM_COPY_H
#define POPGATE_EXIM_COPY_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/stage/asked.h"
#include "ctl/stage/daemon_copy.h"

struct err;

/* The debug selectors by which Exim tells what its ACLs do, with file and
 * line. */
#define EXIM_TRACE_SELECTORS "-d-all+acl+receive+lists+auth+noutf8"

enum { EXIM_LOG_MAX = 1024 };

/* The way to run Exim: the program (NULL: the usual places) and the file of its
 * configuration (NULL: its own). */
struct exim_program {
	const char *program, *file;
	bool trace; /* log what its ACLs do */
};

/* The program to run: the given one, or the first of the usual places. */
const char *exim_copy_program(const char *program);

/* Where it listens, by its settings as they are now. 0, or -1 with err. */
int exim_copy_listeners(
    struct daemon_copy *copy, const struct exim_program *exim, struct err *err);

/* In the room: leave its configuration file out, for a command to make it.
 * 0, or -1 with err. */
int exim_copy_unmake(const char *file, struct err *err);

/* Read its settings as they are in the room, and cover the spool and the
 * directories of log and pid file.
 *   asked  ASKED_MAX; *n_r of them: Dovecot's auth, saslauthd
 *   log    the path of its main log, or ""
 * 0, or -1 with err. */
int exim_copy_make(struct daemon_copy *copy, const struct exim_program *exim,
    struct asked *asked, size_t *n_r, char log[EXIM_LOG_MAX], struct err *err);

/* How many Received lines it takes; 0: unknown, or too many to be said. */
unsigned exim_copy_hops(const struct exim_program *exim);

/* Start it: see daemon_copy_start(). */
int
exim_copy_start(const struct daemon_copy *copy, const struct exim_program *exim,
    const struct network_set *own, int log, int timeout_ms, struct err *err);

#endif
