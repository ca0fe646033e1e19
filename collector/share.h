/* SPDX-License-Identifier: ISC */
/* share - what this machine and others tell each other by a stream of Redis
 * (docs/FLEET.md): a thread with a handle of the login table and connections of
 * its own, so that no login here waits for a network.
 *
 * Out: this machine's logins behind the last number that Redis holds, words of
 * admins that no machine has told for a window, and what was relayed and denied
 * here. In: entries of others, in one transaction with the position in the
 * stream. Failures stand in table share and in the log; the thread tries again
 * for ever. */
#ifndef POPGATE_COLLECTOR_SHARE_H
#define POPGATE_COLLECTOR_SHARE_H

struct config;
struct err;
struct share;

/* priority as in syslog(3); called by the thread, too */
typedef void share_note_fn(int priority, const char *text);

/* Begin. cfg is taken over (also when this fails). *s_r is NULL when cfg names
 * no server. 0, or -1 with err. */
int share_start(struct config *cfg, share_note_fn *note, struct share **s_r,
    struct err *err);

/* Logins were committed. */
void share_poke(struct share *s); /* NULL-safe */

/* Publish what is left, if Redis answers, and end. NULL-safe; sets it to NULL.
 */
void share_stop(struct share **s);

#endif
