/* SPDX-License-Identifier: ISC */
/* admin_entry - an admin's own entries in the login table. */
#ifndef POPGATE_ENTRY_H
#define POPGATE_ENTRY_H

#include "ctl/ctl.h"

/* Would this network let half the world relay? Says so and returns an exit
 * status; 0 when it is narrow enough. */
int entry_check_width(const struct ctl *ctl, const struct network *net);

/* Say on stderr when policy will never look at this entry. */
void entry_warn(const struct ctl *ctl, const struct network *net);

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
