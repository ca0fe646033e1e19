/* SPDX-License-Identifier: ISC */
/* findings - what the dialogues of a rehearsal have shown. One thread. */
#ifndef POPGATE_FINDINGS_H
#define POPGATE_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

/* Strings but kind are owned. */
struct rehearsal_finding {
	const char *kind; /* finding_kinds[].id */
	char *file;
	unsigned line; /* 0: not known */
	char *detail; /* the dialogue, and why the server took it */
	char *fix; /* tried on a copy; NULL: none is known */
};

struct rehearsal_findings {
	struct rehearsal_finding *v;
	size_t n;
};

/* Text as printf(3) has it, to be freed; NULL when memory is short. */
char *
rehearsal_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Add f, whose strings are taken over. Without a file or detail, or memory,
 * nothing is added: false. */
bool rehearsal_findings_put(
    struct rehearsal_findings *to, struct rehearsal_finding f);

/* The same, file or not, unless it is there. A kind is told once of a line:
 * another dialogue that passes there says nothing more. */
void rehearsal_findings_add(
    struct rehearsal_findings *to, struct rehearsal_finding f);

void rehearsal_findings_release(struct rehearsal_findings *r);

#endif
