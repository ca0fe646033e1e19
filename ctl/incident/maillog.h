/* SPDX-License-Identifier: ISC */
/* maillog - the lines of an MTA in the mail log and its rotated predecessors,
 * oldest first. One thread. */
#ifndef POPGATE_MAILLOG_H
#define POPGATE_MAILLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/incident/mtalog.h"

struct ctl;

/* One line of interest; all is borrowed.
 *   raw  the whole line
 *   pid  of the process; -1: not told */
typedef void maillog_fn(void *arg, const struct mtalog *m, struct span raw,
    int64_t pid, int64_t at);

struct maillog_stats {
	int64_t files, lines, too_long, of_mta;
	int64_t first_at, last_at; /* of the MTA's lines; 0: none */
};

/* Read log, or if it is NULL the logs that the configuration's sources name;
 * and what they were rotated to, as far back as files changed since since (Unix
 * seconds). Adds to *stats.
 *   with  only lines that hold this text; NULL: all
 * Returns 0, or an exit status after having said why; -1: no source is a file,
 * and nothing was said. */
int maillog_configured(const struct ctl *ctl, const char *log, int64_t since,
    const char *with, maillog_fn *fn, void *arg, struct maillog_stats *stats);

/* Write the entries of the mail facility (RFC 5424 section 6.2.1) in the
 * systemd journal, from since on, into a file as maillog_spool() has it.
 * Returns 0, or an exit status; -1: no source is the journal, and nothing was
 * said. */
int maillog_journal(const struct ctl *ctl, int64_t since, char *path);

/* Standard input into a file that nobody else can see, which is gone when we
 * are; path has at least 64 bytes. Returns 0, or an exit status. */
int maillog_spool(const struct ctl *ctl, char *path);

#endif
