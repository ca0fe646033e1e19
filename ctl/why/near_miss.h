/* SPDX-License-Identifier: ISC */
/* near_miss - why an address may not relay though somebody thinks it should:
 * the collector's state, and lines of the logs that name the address. */
#ifndef POPGATE_NEAR_MISS_H
#define POPGATE_NEAR_MISS_H

#include "ctl/ctl.h"
#include "ctl/out.h"
#include "ctl/why/verdict.h"

/* Print the near misses of client; j is NULL for people.
 *   deleted_at  until when an admin deleted its logins; 0 never */
void near_show(struct ctl *ctl, const struct addr *client,
    const struct verdict_answer *a, int64_t deleted_at, struct json *j);

#endif
