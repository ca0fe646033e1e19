/* SPDX-License-Identifier: ISC */
/* record - one recorded decision on a line, in JSON, in CSV. */
#ifndef POPGATE_RECORD_H
#define POPGATE_RECORD_H

#include "common/base/json.h"
#include "common/db/audit.h"
#include "common/db/store.h"

/* "2026-11-21 12:00:00 +0100  accept recent-login  from -> to  ..." with
 * indent spaces in front. */
void record_print(const struct audit_record *rec, int indent);
void record_json(struct json *j, const struct audit_record *rec);
void record_csv_heads(void);
void record_csv(const struct audit_record *rec);
/* The user that a decision is put down to: AUTH, else login; or NULL. */
const char *record_user(const struct audit_record *rec);

/* The members of a row of the login table, in an object that is open. */
void row_json(struct json *j, const struct store_row *row, int64_t now);

enum { CONNECTED_TEXT_MAX = 100 };

/* "in IMAP since 09:12, still connected", into buf of CONNECTED_TEXT_MAX; ""
 * when no session of the row is open. Returns buf. */
const char *row_connected(const struct store_row *row, int64_t now, char *buf);

#endif
