/* SPDX-License-Identifier: ISC */
/* audit_reader - what the readers of audit.db share. For audit_*.c only. */
#ifndef POPGATE_AUDIT_READER_H
#define POPGATE_AUDIT_READER_H

#include <stdint.h>

#include "common/db/db.h"

struct audit_reader {
	sqlite3 *db;
};

/* Ids grow with time, but for rows that waited for each other a moment: the
 * id of about the first row at or behind at_ms, found by halving, so that no
 * index by time is needed. INT64_MAX when there is none; -1 with err. */
int64_t audit_id_near(struct audit_reader *r, int64_t at_ms, struct err *err);

/* More than any row waits in the queue. */
enum { AUDIT_DISORDER_MS = 120000 };

#endif
