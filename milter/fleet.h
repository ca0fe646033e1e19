/* SPDX-License-Identifier: ISC */
/* fleet - one gate on several machines, as the milter has it: what was relayed
 * here, and who is denied for it, goes into the outbox (outbox.h); what other
 * machines relayed, and whom they deny, comes from logins.db. The collector
 * carries both. So the milter needs no network and no key, and a recipient
 * waits for nothing of this: it reads what the audit's writer has committed.
 *
 * A thread of its own (fleet_start()); a struct fleet belongs to one thread. */
#ifndef POPGATE_FLEET_H
#define POPGATE_FLEET_H

#include <stdbool.h>

struct config;
struct err;
struct fleet;

/* Begin, where share.servers says so; behind throttle_start(). The thread goes
 * on until the process ends. 0, or -1 with err. */
int fleet_start(const struct config *cfg, struct err *err);

/* Does the thread run, and did its last turn go well? Any thread. */
bool fleet_runs(bool *good_r);

/* The thread's work, for tests. fleet_new(): NULL with err. */
struct fleet *fleet_new(const struct config *cfg, struct err *err);
void fleet_free(struct fleet **f); /* NULL-safe */
/* Tell and hear what is new. Returns 1 when there is more, 0, or -1 with err:
 * try again later. */
int fleet_turn(struct fleet *f, const struct config *cfg, struct err *err);

#endif
