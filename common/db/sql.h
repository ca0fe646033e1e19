/* SPDX-License-Identifier: ISC */
/* sql - the numbered steps of sql/, built into the programs.
 * A new file sql/<db>-NNN.sql needs its count raised here. */
#ifndef POPGATE_SQL_H
#define POPGATE_SQL_H

#include "common/db/db.h"

enum { SQL_LOGINS_STEPS = 10, SQL_AUDIT_STEPS = 7, SQL_OUTBOX_STEPS = 1 };

extern const struct db_migration sql_logins[SQL_LOGINS_STEPS];
extern const struct db_migration sql_audit[SQL_AUDIT_STEPS];
extern const struct db_migration sql_outbox[SQL_OUTBOX_STEPS];

#endif
