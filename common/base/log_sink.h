/* SPDX-License-Identifier: ISC */
/* log_sink - where log lines end: standard error, or syslogd. A call may last
 * as long as whoever reads there likes, so only one thread makes it, on which
 * nobody waits (see log.h). */
#ifndef POPGATE_LOG_SINK_H
#define POPGATE_LOG_SINK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/log.h"

/* ident must live as long as the program. */
void log_sink_open(const char *ident, enum log_target target);

/* The target's name for a message: "standard error", "/dev/log". */
const char *log_sink_name(void);

/* One line as the sink wants it, in buf of at least LOG_SINK_PREFIX + len;
 * at is when it was logged (Unix seconds). Returns its length. */
enum { LOG_SINK_PREFIX = 128 };
size_t log_sink_format(
    int priority, int64_t at, const char *text, size_t len, char *buf);

/* How many bytes of whole lines may go in one call of log_sink_write(), at
 * most max; 0: one line. Of a pipe, what the kernel does not mix with that of
 * other writers. */
size_t log_sink_batch(size_t max);

/* Returns how much of it was taken, or -1 with errno. */
ssize_t log_sink_write(const char *lines, size_t len);

/* After an error: a second until another try. After EAGAIN, which a standard
 * error gives that somebody made non-blocking: until there is room, or for a
 * second. */
void log_sink_rest(void);
void log_sink_await(void);

#endif
