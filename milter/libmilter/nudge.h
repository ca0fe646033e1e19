/* SPDX-License-Identifier: ISC */
/* nudge - no connection is forgotten by libmilter while others are busy.
 *
 * A thread of libmilter keeps its connection as long as the next packet comes
 * within a millisecond. What comes on the other connections is given to an
 * idle thread, or to a new one when no thread is idle. But a thread that has
 * just been woken still counts as idle until it runs, and a second connection
 * that is given to it waits until some thread has done with its own: under
 * full load that may be never. Every connection that ends makes its thread
 * look for such waiting ones, so popgate-milter connects to itself and hangs
 * up, as a health probe does, while any thread stays with one connection. */
#ifndef POPGATE_NUDGE_H
#define POPGATE_NUDGE_H

#include "common/base/listen.h"

struct err;

/* Before the first callback; spec is where libmilter listens, copied. 0, or
 * -1 with err. */
int nudge_start(const struct listen_spec *spec, struct err *err);

/* A callback of this session runs in this thread. */
void nudge_note(const void *session);

#endif
