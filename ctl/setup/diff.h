/* SPDX-License-Identifier: ISC */
/* diff - what changes between two texts, as diff -u prints it. */
#ifndef POPGATE_DIFF_H
#define POPGATE_DIFF_H

#include <stdio.h>

/* Print the difference of two texts, nothing when there is none.
 *   before  NULL: there was no such file
 *   path    for the head; control characters in lines are escaped
 * 0, or -1 when memory is short. */
int
diff_print(FILE *to, const char *path, const char *before, const char *after);

#endif
