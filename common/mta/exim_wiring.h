/* SPDX-License-Identifier: ISC */
/* exim_wiring - what has to be put where in an Exim configuration so that it
 * asks popgate (etc/exim/closed.conf), and what stays as it is. Pure. */
#ifndef POPGATE_EXIM_WIRING_H
#define POPGATE_EXIM_WIRING_H

#include "common/mta/exim_plan.h"
#include "common/mta/exim_source.h"

struct err;

/* The sockets and files that the edit names. */
struct exim_wiring_names {
	const char *policy; /* where to ask: "/path" or "inet:host:port" */
	const char *include; /* path of closed.conf */
};

/* Plan the edit of the configuration. A wired one gives no edits. Returns 0, or
 * -1 with ERR_INVALID (err says what can't be wired, and where) or ERR_NOMEM.
 * Release plan (edit_plan_release()) in any case. */
int exim_wiring_plan(const struct exim_source *src,
    const struct exim_wiring_names *names, struct edit_plan *plan,
    struct err *err);
#endif
