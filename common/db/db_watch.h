/* SPDX-License-Identifier: ISC */
/* db_watch - for who watches a database handle work at a terminal. */
#ifndef POPGATE_DB_WATCH_H
#define POPGATE_DB_WATCH_H

#include <stdint.h>

struct db_watch {
	int after_ms; /* a step that takes longer is worth a word */
	/* about ten times a second from then on; ms since the step began */
	void (*busy)(void *arg, int64_t ms);
	/* the step has ended after all; only when busy() was called */
	void (*done)(void *arg);
	void *arg;
	/* not the caller's */
	int64_t began_ms, told_ms;
};

#endif
