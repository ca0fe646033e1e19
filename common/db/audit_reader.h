/* SPDX-License-Identifier: ISC */
/* audit_reader - what the readers of audit.db share. For audit_*.c only. */
#ifndef POPGATE_AUDIT_READER_H
#define POPGATE_AUDIT_READER_H

#include <stdint.h>

#include "common/db/db.h"

struct audit_reader {
	sqlite3 *db;
	sqlite3_stmt
	    *first_at; /* audit_first_at(): NULL before its first use */
};

/* Ids grow with time, but for rows that waited for each other a moment: the
 * id of about the first row at or behind at_ms, found by halving, so that no
 * index by time is needed. INT64_MAX when there is none; -1 with err. */
int64_t audit_id_near(struct audit_reader *r, int64_t at_ms, struct err *err);

/* The same, but no row of since_ms or later has a smaller id. */
int64_t
audit_id_since(struct audit_reader *r, int64_t since_ms, struct err *err);

/* The ids among which rows of these times are: *first_r < id <= *last_r. 0: no
 * such bound. 0 or -1 with err. */
int audit_id_range(struct audit_reader *r, int64_t since_ms, int64_t until_ms,
    int64_t *first_r, int64_t *last_r, struct err *err);

/* More than any row waits in the queue. */
enum { AUDIT_DISORDER_MS = 120000 };

#endif
