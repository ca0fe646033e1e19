/* callbacks - milter events in, verdicts out: the only file that includes
 * <libmilter/mfapi.h>. Calls gate_decide() at RCPT, gate_commit() at DATA. */
#ifndef POPGATE_CALLBACKS_H
#define POPGATE_CALLBACKS_H

#include <stdbool.h>
#include <sys/types.h>

#include "listen.h"

struct err;

/* Register with libmilter and listen; nobody is answered yet.
 *   mode, gid  of a Unix socket, in force before anyone can connect;
 *              gid (gid_t)-1: the process's own
 * Returns 0, or -1 with err. Once a process. */
int callbacks_open(const struct listen_spec *spec, mode_t mode, gid_t gid,
    struct err *err);

/* Answer until callbacks_stop(). Returns 0, or -1 when libmilter failed. */
int callbacks_run(void);

/* Make callbacks_run() return soon. Threads: any. */
void callbacks_stop(const struct listen_spec *spec);

/* Sessions that are open now. */
unsigned callbacks_sessions(void);

/* "1.0.1" */
const char *callbacks_libmilter_version(char *buf, size_t size);

#endif
