/* SPDX-License-Identifier: ISC */
/* entry_sorts - which entries of a large table are worth saying. Entries are of
 * one sort when their keys are of one kind (address, domain, top level domain,
 * pattern...) and their results are the same word. A few of each sort are said,
 * so that the one OK among a hundred thousand REJECTs is. Pure. */
#ifndef POPGATE_ENTRY_SORTS_H
#define POPGATE_ENTRY_SORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ENTRY_SORTS_MAX = 256 };

/* The sorts of one table; zero it before the first line. */
struct entry_sorts {
	struct {
		uint64_t key;
		unsigned n;
	} v[ENTRY_SORTS_MAX];
	size_t n;
};

/* Is this line ("key result", "key: result") one of the first of its sort, or a
 * network, which says who is no stranger and costs no dialogue?
 *   thorough  more of each sort */
bool
entry_sorts_take(struct entry_sorts *sorts, const char *line, bool thorough);

#endif
