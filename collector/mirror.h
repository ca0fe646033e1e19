/* SPDX-License-Identifier: ISC */
/* mirror - keeps the files of collector.mirror as the login table says: by a
 * thread and a reading handle of its own, so that no login waits for them.
 *
 * A file never permits for long what has expired or was taken away: it is
 * written anew when its next entry ends, when the table has changed, at most
 * once a second (and at most a fifth of the time). What can't be read or
 * written for so long is emptied. Files are empty when nobody keeps them. */
#ifndef POPGATE_MIRROR_H
#define POPGATE_MIRROR_H

#include <stdbool.h>

struct config;
struct err;
struct mirror;

/* priority as in syslog(3); called by the thread, too */
typedef void mirror_note_fn(int priority, const char *text);

/* Begin. cfg is taken over (also when this fails). *m_r is NULL when cfg
 * names no file. 0, or -1 with err. */
int mirror_start(struct config *cfg, mirror_note_fn *note, struct mirror **m_r,
    struct err *err);

/* Logins were committed. */
void mirror_poke(struct mirror *m); /* NULL-safe */

/* End, and empty the files that next (NULL: nobody) doesn't go on with. */
void mirror_stop(struct mirror **m, const struct config *next);

#endif
