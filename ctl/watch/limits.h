/* SPDX-License-Identifier: ISC */
/* limits - who of those that relay now is near a limit, who went over one, and
 * who is denied: for 'popgatectl watch'. One thread. */
#ifndef POPGATE_WATCH_LIMITS_H
#define POPGATE_WATCH_LIMITS_H

#include "ctl/ctl.h"
#include "ctl/watch/model.h"

/* Fill the model's limits from the audit and the model's events, by the sums
 * that popgate-milter has after a start; those who are denied first, then the
 * nearest. Reads the relays of the longest window, but no more than LIMITS_ROWS
 * of the newest. */
enum { LIMITS_ROWS = 100000, LIMITS_NEAR_PERCENT = 50, LIMITS_OVER_S = 3600 };
void
limits_read(struct ctl *ctl, struct audit_reader *r, struct watch_model *m);

#endif
