/* SPDX-License-Identifier: ISC */
/* collect - the collector's loop: feed.c reads the sources, judges their lines
 * and fills the batch; commit.c writes it. Lines for the log go to a callback.
 * One thread. */
#ifndef POPGATE_COLLECT_H
#define POPGATE_COLLECT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"

struct err;
struct collect;

/* priority as in syslog(3) */
typedef void collect_note_fn(int priority, const char *text);

/* Check what config_load() doesn't: servers and custom patterns. 0 or -1. */
int collect_check(const struct config *cfg, struct err *err);

/* Take cfg over (also when this fails). Opens nothing. 0, or -1 with err. */
int collect_new(struct config *cfg, collect_note_fn *note, struct collect **c_r,
    struct err *err);
void collect_free(struct collect **c); /* NULL-safe; commits nothing */

/* Open the database and the sources of which opening can't wait. Returns 0,
 * or -1 with err: collect_step() tries again in a moment. */
int collect_start(struct collect *c, struct err *err);

/* Log, once a minute, that collect_start() failed and is tried again. */
void collect_complain(struct collect *c, const struct err *err);

/* The two halves of a loop: wait until there is something to do, or wake_fd
 * is readable (then true); do it. collect_step() returns false when there is
 * nothing left to follow. */
bool collect_wait(struct collect *c, int wake_fd);
bool collect_step(struct collect *c);

/* Commit what is read. 0, or -1 with err: it will be read again. */
int collect_finish(struct collect *c, struct err *err);

/* Go on by cfg, which is taken over (also when this fails). What needs a
 * restart is noted. 0, or -1 with err and everything as before. */
int collect_reload(struct collect *c, struct config *cfg, struct err *err);

struct collect_figures {
	uint64_t lines, logins; /* since the start */
	uint64_t waiting; /* logins not written yet */
	bool store_good;
};
void collect_figures(const struct collect *c, struct collect_figures *figures);

/* One line for people: how much was read and found. buf of at least 200. */
const char *collect_status(const struct collect *c, char *buf);

#endif
