/* SPDX-License-Identifier: ISC */
/* stats - counts what became of the lines of one source, by server and fate;
 * and raises the alarm when a server's lines hold no logins any more, which is
 * how a changed log format looks. Failed logins are no sign of that: they are
 * understood, and come by the thousand in an attack. Bounded. No clock, no log.
 */
#ifndef POPGATE_STATS_H
#define POPGATE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/records/fate.h"

struct err;
struct stats; /* used by one thread at a time */
struct store;

enum {
	STATS_ROWS = 512, /* pairs of server and fate */
	STATS_SERVERS = 64,
	STATS_SAMPLE = 512, /* bytes of a sample kept */
	STATS_NAME_MAX = 64
};

struct stats *stats_new(void); /* NULL when memory is short */
void stats_free(struct stats **s); /* NULL-safe; sets NULL */

/* Count a line.
 *   server     copied; "" no server's
 *   line, len  copied as a sample where an admin may want to see it
 *   now        Unix seconds */
void stats_line(struct stats *s, const char *server, enum fate fate,
    const char *line, size_t len, int64_t now);

/* The clock was set back to now: forget later times. */
void stats_set_back(struct stats *s, int64_t now);

/* Write what was counted since stats_saved(), inside a transaction. 0, or -1
 * with err. stats_saved() belongs behind the commit. */
int stats_save(const struct stats *s, struct store *st, const char *source,
    struct err *err);
void stats_saved(struct stats *s);

/* Is a server silent? Writes one line for people into buf and returns true;
 * call until false. The same server is named again after twice the time. */
bool stats_alarm(struct stats *s, int64_t now, char *buf, size_t size);

/* A server has stopped to say anything: true the first time since it did. */
bool stats_quiet(struct stats *s, const char *server);

#endif
