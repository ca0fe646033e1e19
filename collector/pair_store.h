/* SPDX-License-Identifier: ISC */
/* pair_store - pairs of two-line servers, over a restart. */
#ifndef POPGATE_PAIR_STORE_H
#define POPGATE_PAIR_STORE_H

#include "common/policy/judge.h"

struct err;
struct store;

/* Write all pairs of j, instead of those that the table has, inside a
 * transaction. 0, or -1 with err. */
int pair_store_save(const struct judge *j, struct store *st, struct err *err);

/* Add to j the pairs that the table has. 0, or -1 with err. */
int pair_store_load(struct judge *j, struct store *st, struct err *err);

/* Add to j those of another. */
void pair_store_copy(struct judge *j, const struct judge *from);

/* Grows with each change of them. */
uint64_t pair_store_changes(const struct judge *j);

#endif
