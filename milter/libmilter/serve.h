/* SPDX-License-Identifier: ISC */
/* serve - runs libmilter, which calls back at each SMTP step: opens its socket
 * with the mode and group that were asked for, and answers. */
#ifndef POPGATE_SERVE_H
#define POPGATE_SERVE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/base/listen.h"

struct err;
struct smfiDesc;

/* Register callbacks with libmilter and listen; nobody is answered yet.
 *   callbacks  copied by libmilter
 *   mode, gid  of a Unix socket, in force before anyone can connect;
 *              gid (gid_t)-1: the process's own
 * Returns 0, or -1 with err. Once a process, before any thread: it sets the
 * umask and the effective group for a moment. */
int serve_open(const struct smfiDesc *callbacks, const struct listen_spec *spec,
    mode_t mode, gid_t gid, struct err *err);

/* Answer until the process ends; returns when libmilter failed. It is never
 * stopped: smfi_stop() lets one thread free the sessions that others work at,
 * and a connection that comes meanwhile makes libmilter abort(). */
void serve_run(void);

/* Write libmilter's version, "1.0.1", into buf of size bytes. Returns buf. Any
 * thread. */
const char *serve_libmilter_version(char *buf, size_t size);

#endif
