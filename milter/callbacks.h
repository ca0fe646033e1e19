/* SPDX-License-Identifier: ISC */
/* callbacks - what happens at each SMTP step: milter events in, verdicts out,
 * by gate_decide() at RCPT; and DATA's wait for the audit's disk, by
 * gate_commit(), 421 when that fails (the permit channel's: permit_answer.c).
 */
#ifndef POPGATE_CALLBACKS_H
#define POPGATE_CALLBACKS_H

#include <stdint.h>

struct smfiDesc;

/* The functions that libmilter is to call, for serve_open(). Constant.
 * libmilter calls from many threads, of one session one at a time. */
const struct smfiDesc *callbacks(void);

/* How many sessions may be open; more get a temporary failure. Any thread. */
void callbacks_limit(unsigned max);

/* Refuse new sessions from now on: the MTA does what it does without a filter.
 * Open sessions go on. Any thread. */
void callbacks_drain(void);

/* Sessions that are open now, and how many were over the limit since the start.
 * Any thread. */
unsigned callbacks_sessions(void);
uint64_t callbacks_over_limit(void);

#endif
