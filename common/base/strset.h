/* SPDX-License-Identifier: ISC */
/* strset - a set of strings: open addressing, filled once, then constant and
 * free to be asked by any number of threads. */
#ifndef POPGATE_STRSET_H
#define POPGATE_STRSET_H

#include <stdbool.h>
#include <stddef.h>

struct strset {
	char **slot; /* owned */
	size_t size, n;
};

/* Add a copy of text. Returns 0 (also when it is there already), or -1 when
 * memory is short. */
int strset_add(struct strset *set, const char *text);
bool strset_has(const struct strset *set, const char *text);

/* How many strings of was are not in is; the first of them, separated by
 * spaces, into buf of size bytes. */
size_t strset_lost(
    const struct strset *was, const struct strset *is, char *buf, size_t size);
void strset_release(struct strset *set);

#endif
