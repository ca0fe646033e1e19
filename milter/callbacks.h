/* callbacks - milter events in, verdicts out: the only file that includes
 * <libmilter/mfapi.h>. Calls gate_decide() at RCPT, gate_commit() at DATA. */
#ifndef POPGATE_CALLBACKS_H
#define POPGATE_CALLBACKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/listen.h"

struct err;

/* Register with libmilter and listen; nobody is answered yet.
 *   mode, gid  of a Unix socket, in force before anyone can connect;
 *              gid (gid_t)-1: the process's own
 * Returns 0, or -1 with err. Once a process. */
int callbacks_open(
    const struct listen_spec *spec, mode_t mode, gid_t gid, struct err *err);

/* Answer until the process ends; returns when libmilter failed. It is never
 * stopped: smfi_stop() lets one thread free the sessions that others work at,
 * and a connection that comes meanwhile makes libmilter abort(). */
void callbacks_run(void);

/* Sessions that may be open; more get a temporary failure. Any thread. */
void callbacks_limit(unsigned max);

/* From now on new sessions are refused: the MTA does what it does without
 * us. Those that are open go on. Any thread. */
void callbacks_drain(void);

/* Sessions that are open now, and how many were over the limit. */
unsigned callbacks_sessions(void);
uint64_t callbacks_over_limit(void);

/* "1.0.1" */
const char *callbacks_libmilter_version(char *buf, size_t size);

#endif
