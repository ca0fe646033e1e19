/* SPDX-License-Identifier: ISC */
/* sendmail_copy - a Sendmail in the room (room.h). */
#ifndef POPGATE_SENDMAIL_COPY_H
#define POPGATE_SENDMAIL_COPY_H

#include <stddef.h>

#include "ctl/stage/asked.h"
#include "ctl/stage/daemon_copy.h"

struct err;

/* Read sendmail.cf as it is in the room, and cover the queue and what else it
 * writes to.
 *   asked  ASKED_MAX; *n_r of them: other milters, socket maps, saslauthd
 * 0, or -1 with err. */
int sendmail_copy_make(struct daemon_copy *copy, const char *cf,
    struct asked *asked, size_t *n_r, struct err *err);

/* Where it listens, by a sendmail.cf. 0, or -1 with err. */
int sendmail_copy_listeners(
    struct daemon_copy *copy, const char *cf, struct err *err);

/* The program; NULL: where it usually is, or NULL when it isn't there. */
const char *sendmail_copy_program(const char *program);

/* Start it: see daemon_copy_start().
 *   program  NULL: the usual places */
int sendmail_copy_start(const struct daemon_copy *copy, const char *program,
    const char *cf, const struct network_set *own, int log, int timeout_ms,
    struct err *err);

#endif
