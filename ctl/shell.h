/* SPDX-License-Identifier: ISC */
/* shell - text in the command lines that popgatectl proposes: an admin pastes
 * them into a root shell, and what they name may come from a stranger. */
#ifndef POPGATE_SHELL_H
#define POPGATE_SHELL_H

#include <stdbool.h>
#include <stdio.h>

/* Can text stand in a command line as it is, as one word, in quotes or not?
 * False for an empty one, for an option ("-x"), and for whatever a shell
 * might take for anything else: then say "..." instead. Pure. */
bool shell_plain(const char *text);

/* Print any text as one word: '...', or $'...' where bytes are escaped as by
 * utf8_escape(). */
void shell_print(const char *text);
void shell_write(FILE *to, const char *text); /* the same, elsewhere */

#endif
