/* SPDX-License-Identifier: ISC */
/* log_queue - lines on their way to the log, so that nobody has to wait for
 * it: a bounded queue in the order of arrival, and the one thread that writes
 * them. Any thread may call this. */
#ifndef POPGATE_LOG_QUEUE_H
#define POPGATE_LOG_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_state;

/* Room in bytes, of which each line takes 16 more than its text. The last
 * quarter is for what is more important than LOG_INFO. */
enum { LOG_QUEUE_SIZE = 1 << 20, LOG_QUEUE_LINE_MAX = 8192 };

/* Never waits. A line that finds no room is dropped and counted, and once the
 * log takes lines again it says so itself.
 *   wake  false: the writer may get to it with the next one, or after
 *         log_queue_wake() */
void log_queue_put(int priority, const char *text, size_t len, bool wake);
void log_queue_wake(void);

/* Start the writer; until then lines wait. Returns 0 or an errno value. */
int log_queue_start(void);

/* Give the writer wait_ms to come to the end, less where the log answers that
 * it can't (a full disk, no syslogd). Returns how many lines are not written
 * by then. The writer goes on as long as the process does. */
unsigned log_queue_drain(int wait_ms);

void log_queue_state(struct log_state *state);

#endif
