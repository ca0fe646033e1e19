/* SPDX-License-Identifier: ISC */
/* guess - does a line that is read by no grammar look like a login of a known
 * server? For telling an admin what his configuration lacks, never for letting
 * anybody relay. Pure. */
#ifndef POPGATE_GUESS_H
#define POPGATE_GUESS_H

#include <stdbool.h>

#include "common/grammar/span.h"

/* The server whose login the message would be, were the tag one of that
 * server's. Servers of two lines are not asked, and logins for anything but POP
 * and IMAP are none: an admin who named the tag would let whoever delivers by
 * LMTP relay. Returns a constant, or NULL. */
const char *guess_server(struct span tag, struct span msg);

/* Does a line of no known form look like a known server's login, behind what a
 * syslog daemon might have put there? */
bool guess_words(struct span line);

#endif
