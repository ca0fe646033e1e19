/* SPDX-License-Identifier: ISC */
/* gather - fills the figures of a report out of the databases. One thread. */
#ifndef POPGATE_REPORT_GATHER_H
#define POPGATE_REPORT_GATHER_H

#include "ctl/report/figures.h"

struct audit_reader;
struct ctl;
struct err;

/* Longest period, in seconds: REPORT_SLOTS_MAX days, less one for each end. */
#define REPORT_PERIOD_MAX_S (INT64_C(86400) * (REPORT_SLOTS_MAX - 2))

/* Count the relays of rep's period (since and until are set), and find which
 * clients are new. 0, or -1 with err. */
int report_count_relays(
    struct report *rep, struct audit_reader *r, struct err *err);

/* Limits reached, and who is denied: by audit.db, and by an admin in logins.db
 * (unless there is no such file). Returns 0, or an exit status after having
 * said why. */
int report_find_denials(
    struct report *rep, struct ctl *ctl, struct audit_reader *r);

/* Find the users who still relay by a login, and those who have moved to AUTH:
 * fills depend, moved, both and week, and may run beside report_count_relays()
 * with a reader of its own. 0, or -1 with err. */
int report_find_dependents(
    struct report *rep, struct audit_reader *r, struct err *err);

/* Gather what popgatectl status says, and what the doctor found last (or finds
 * by reading the configuration, where nothing is stored). */
void report_look_around(struct report *rep, struct ctl *ctl);

#endif
