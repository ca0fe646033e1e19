/* SPDX-License-Identifier: ISC */
/* batch - logins, and ends of sessions, on their way to the store. They wait
 * here until they are committed, so that a store that is locked or full loses
 * none. Bounded. */
#ifndef POPGATE_BATCH_H
#define POPGATE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/policy/judge.h"

struct err;
struct store;
struct batch; /* used by one thread at a time */

enum { BATCH_LOGINS = 32768 };

struct batch *batch_new(void); /* NULL when memory is short */
void batch_free(struct batch **b); /* NULL-safe; sets NULL */

size_t batch_count(const struct batch *b);
bool batch_full(const struct batch *b);

/* Add a login; not when full.
 *   judged    with FATE_LOGIN; copied
 *   source    name of the source; borrowed until batch_clear()
 *   position  of the line in it
 *   text      the line, copied, cut at 16 KiB */
void batch_add(struct batch *b, const struct judged *judged, const char *source,
    int64_t position, const char *text, size_t len);

/* Add an end of sessions; not when full.
 *   session     its server is a constant, the rest is copied
 *   expires_at  Unix seconds: the end plus the window
 *   source, position  as for a login */
void batch_add_end(struct batch *b, const struct login_session *session,
    int64_t expires_at, const char *source, int64_t position);

/* Write all into st, inside the caller's transaction. The batch keeps them
 * until batch_clear(), which belongs behind the commit. 0, or -1 with err. */
int batch_store(const struct batch *b, struct store *st, struct err *err);
void batch_clear(struct batch *b);

#endif
