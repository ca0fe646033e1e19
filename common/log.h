/* log - where a program's messages go. Called by the programs, not by the
 * modules below them (those return struct err). Any thread. */
#ifndef POPGATE_LOG_H
#define POPGATE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_target {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG, /* facility mail */
	LOG_TO_JOURNAL /* stderr with sd-daemon(3) priority prefixes */
};

/* Returns false when name is none of stderr, syslog, journal. */
bool log_target_parse(const char *name, enum log_target *target);

/* ident must live as long as the program. */
void log_open(const char *ident, enum log_target target);

/* priority: LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO of syslog(3).
 * Control characters in what is printed are written as \xNN, so that no
 * client can forge a line. */
void log_msg(int priority, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* May something that others can make us say again and again be said now? Then
 * not for the next every_ms. *said_ms: 0 at first, for this message alone. */
bool log_due(atomic_int_fast64_t *said_ms, int every_ms);

/* The newest message with priority LOG_ERR or worse, cut and unescaped, into
 * buf of LOG_LAST_MAX; returns when it was logged (Unix seconds), 0 and ""
 * when there was none. */
enum { LOG_LAST_MAX = 512 };
int64_t log_last_error(char *buf);

/* How many messages with this priority there were; LOG_ERR: or worse. */
uint64_t log_count(int priority);

/* Like log_msg(), for many lines in a row from one thread: line is printable,
 * and may be held back until log_flush(). */
void log_line(int priority, const char *line, size_t len);
void log_flush(void);

/* Copy text into buf with control characters, backslash and (when quote) the
 * double quote escaped, and cut to size - 1 bytes. Returns buf. */
const char *log_escape(const char *text, bool quote, char *buf, size_t size);

#endif
