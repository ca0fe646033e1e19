/* keep - pairs of two-line servers, over a restart. */
#ifndef POPGATE_KEEP_H
#define POPGATE_KEEP_H

#include "common/policy/judge.h"

struct err;
struct store;

/* Write all pairs of j, instead of those that the table has, inside a
 * transaction. 0, or -1 with err. */
int keep_save(const struct judge *j, struct store *st, struct err *err);

/* Add to j the pairs that the table has. 0, or -1 with err. */
int keep_load(struct judge *j, struct store *st, struct err *err);

/* Add to j those of another. */
void keep_copy(struct judge *j, const struct judge *from);

/* Grows with each change of them. */
uint64_t keep_changes(const struct judge *j);

#endif
