/* SPDX-License-Identifier: ISC */
/* diff - what changes between two texts, as diff -u prints it. */
#ifndef POPGATE_DIFF_H
#define POPGATE_DIFF_H

#include <stdbool.h>
#include <stdio.h>

/* Print the difference of two texts, nothing when there is none.
 *   before  NULL: there was no such file
 *   path    for the head
 *   escape  what could harm a terminal is escaped; else lines are printed byte
 *           for byte, as patch(1) needs them
 * 0, or -1 when memory is short. */
int diff_print(FILE *to, const char *path, const char *before,
    const char *after, bool escape);

#endif
