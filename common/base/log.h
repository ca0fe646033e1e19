/* SPDX-License-Identifier: ISC */
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

/* ident must live as long as the program. Also silences libmilter's own calls
 * of syslog(3), which would wait for syslogd. */
void log_open(const char *ident, enum log_target target);

/* A daemon never waits for its log: from log_hold() on, lines go into a
 * bounded queue, which log_start() gives a thread that writes them (after the
 * last fork and change of user; 0 or an errno value). What finds no room is
 * dropped and counted. log_stop() waits for the end of the queue, but not
 * longer than LOG_STOP_MS, and returns how many lines are left. Without
 * log_hold() whoever logs also writes. */
enum { LOG_STOP_MS = 2000 };
void log_hold(void);
int log_start(void);
unsigned log_stop(void);

struct log_state {
	uint64_t lost; /* lines, since the start */
	int64_t lost_at; /* when the last one was, Unix time; 0: never */
	unsigned waiting; /* lines */
	int64_t stuck_ms; /* how long the log hasn't taken the next one */
};
void log_state(struct log_state *state);

/* priority: LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO of syslog(3).
 * What utf8_escape() finds harmful in it is written as \xNN, so that no client
 * can forge a line or command the terminal that shows it. */
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

/* Like log_msg(), for many lines in a row: line is printable, and may be held
 * back until log_flush(). */
void log_line(int priority, const char *line, size_t len);
void log_flush(void);

/* Copy text into buf as utf8_escape() writes it, with backslash and double
 * quote escaped too when quote, and cut to size - 1 bytes. Returns buf. */
const char *log_escape(const char *text, bool quote, char *buf, size_t size);

#endif
