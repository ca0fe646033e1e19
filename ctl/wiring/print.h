/* SPDX-License-Identifier: ISC */
/* print - what the commands of a wiring are made of, on standard output. */
#ifndef POPGATE_WIRING_PRINT_H
#define POPGATE_WIRING_PRINT_H

/* text as one word of sh(1), byte for byte; see shell_print() for what is only
 * shown. */
void wiring_print_word(const char *text);

/* "# text" over as many lines as it takes, at most 78 wide. */
void wiring_print_comment(const char *text);

/* "cp -p FILE FILE.before-popgate" */
void wiring_print_copy(const char *file);

#endif
