/* SPDX-License-Identifier: ISC */
/* postfix_sasl - does an smtpd that leaves its chroot find what Cyrus SASL
 * asks in there: saslauthd's socket, sasldb? */
#ifndef POPGATE_COMMON_MTA_POSTFIX_SASL_H
#define POPGATE_COMMON_MTA_POSTFIX_SASL_H

#include <stdbool.h>

/* Is all that Cyrus SASL has below the queue directory the same at the same
 * path outside: one socket, one file, or files of the same contents? What isn't
 * in the chroot isn't needed; but of a socket that isn't there, as its daemon
 * is stopped, the directory has to be the same, or not be there either. What
 * can't be looked at isn't the same.
 * root: before every path but those below queue; "" is the system.
 * config: the directories in which app's settings, APP.conf, may be, with ':'
 * between them; "" Cyrus SASL's own. Reads files; any thread. */
bool postfix_sasl_outside(
    const char *root, const char *queue, const char *config, const char *app);

#endif
