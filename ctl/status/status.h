/* SPDX-License-Identifier: ISC */
/* status - what "popgatectl status" and "health" look at, each a check with a
 * level and words. One thread. */
#ifndef POPGATE_STATUS_H
#define POPGATE_STATUS_H

#include <stdint.h>

#include "common/base/err.h"

struct ctl;

/* The exit statuses of a Nagios plug-in. Of several checks LEVEL_CRITICAL is
 * the worst, then LEVEL_WARNING, then LEVEL_UNKNOWN: something couldn't be
 * looked at. */
enum level { LEVEL_OK, LEVEL_WARNING, LEVEL_CRITICAL, LEVEL_UNKNOWN };

enum { STATUS_CHECKS_MAX = 60, STATUS_RECENT_S = 600 };

struct check {
	char what[200];
	char words[ERR_TEXT_MAX + 900];
	enum level level;
};

struct status {
	struct ctl *ctl; /* its configuration is loaded */
	struct check check[STATUS_CHECKS_MAX];
	int n;
	enum level worst;
	int64_t per_minute; /* decisions of the last minute; -1: not known */
	int64_t lag_s; /* of the slowest source; -1: not known */
	/* what the daemons said; -1: not known */
	int64_t decisions, logins, queued;
	/* When an MTA last asked by each channel, as popgate-milter knows since
	 * its start: Unix seconds; 0: not since then; -1: not known. */
	int64_t milter_asked_at, permit_asked_at, started_at;
	/* The newest recorded decision; 0: none. */
	int64_t decided_at;
};

/* "OK", "WARNING", "CRITICAL", "UNKNOWN" */
const char *status_level_name(enum level level);

/* Look at all of it. Returns 0, or an exit status after having said why. */
int status_gather(struct ctl *ctl, struct status *s);

/* Add a check; past STATUS_CHECKS_MAX only its level counts. */
void status_add(
    struct status *s, enum level level, const char *what, const char *words);

void status_daemons(struct status *s); /* the daemons and their sockets */
void status_tables(struct status *s); /* logs, logins.db, audit.db */
/* Is what other machines share heard, and what isn't believed? */
void status_share(struct status *s);
/* Does a mail server of this machine ask popgate? After the other two. */
void status_mta(struct status *s);

/* When a client of another machine last connected to Postfix, by the end of the
 * logs that the collector reads: Unix seconds; 0: not known. */
int64_t status_newest_client(const struct ctl *ctl);

#endif
