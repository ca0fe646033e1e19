/* SPDX-License-Identifier: ISC */
/* rights - by which right popgate let messages out, from its own record: an
 * index of the accepted recipients of audit.db in memory. One thread. */
#ifndef POPGATE_RIGHTS_H
#define POPGATE_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/incident/incident.h"

struct audit_reader;
struct err;
struct rights;

enum { RIGHTS_ROWS_MAX = 1 << 22 };

/* Read what was accepted since since (Unix seconds). Beyond RIGHTS_ROWS_MAX
 * rows the newest are left out, and rights_complete() is false. Returns 0, or
 * -1 with err. */
int rights_load(struct audit_reader *reader, int64_t since, struct rights **r_r,
    struct err *err);
void rights_free(struct rights *r); /* NULL-safe */
bool rights_complete(const struct rights *r);

/* By the queue id and client, or else by client, sender and recipient (the
 * permit channel is asked before there is a queue id). RIGHT_NONE: popgate
 * permitted no such thing. user_r is set for a login or AUTH. */
enum right
rights_find(const struct rights *r, const char *queue_id, const char *client,
    const char *sender, struct span recipient, char user_r[INCIDENT_USER_MAX]);

#endif
