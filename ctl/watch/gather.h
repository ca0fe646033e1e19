/* SPDX-License-Identifier: ISC */
/* gather - fills the model of 'popgatectl watch': reads the databases, a moment
 * at a time, and asks the daemons as 'popgatectl status' does. Writes nothing.
 * One thread. */
#ifndef POPGATE_WATCH_GATHER_H
#define POPGATE_WATCH_GATHER_H

#include "ctl/ctl.h"
#include "ctl/watch/model.h"

struct gather; /* opaque */

/* Returns 0, or an exit status after having said why on standard error. */
int gather_open(struct ctl *ctl, struct gather **g_r);
void gather_close(struct gather **g); /* NULL-safe; sets *g to NULL */

/* Bring the model up to now (ctl->now is set). What can't be read stands in the
 * model's words. */
void gather_now(struct gather *g, struct watch_model *m);

/* Free what the model owns. */
void watch_release(struct watch_model *m);

#endif
