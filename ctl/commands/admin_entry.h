/* SPDX-License-Identifier: ISC */
/* admin_entry - an admin's own entries in the login table. */
#ifndef POPGATE_ENTRY_H
#define POPGATE_ENTRY_H

#include "ctl/ctl.h"

/* The network that text names, and the configuration. Refuses one that would
 * let half the world relay. Returns 0, or an exit status after having said why.
 */
int entry_network(struct ctl *ctl, const char *text, struct network *net_r);

/* Say on stderr when policy will never look at this entry. */
void entry_warn(const struct ctl *ctl, const struct network *net);

/* A row that an admin enters; client and user are borrowed. It ends at
 * STORE_FOREVER at the latest. */
struct store_row
entry_row(const char *client, const char *user, int64_t at, int64_t expires_at);

/* Write the entry and, in the history, who did it and how, in one
 * transaction. Returns 0, or an exit status after having said why. */
int entry_write(struct ctl *ctl, struct store *st, const struct store_row *row,
    const char *how);

/* When an entry or a denial ends, as --for, --until (NULL: not given) and
 * --forever say. *at_r is the end when none of them is given, and what it was
 * when they are wrong. Returns 0, or EX_USAGE after having said why. */
int entry_end(const struct ctl *ctl, const char *duration, const char *time,
    bool forever, int64_t *at_r);

#endif
