/* SPDX-License-Identifier: ISC */
/* reload - changes reach the running milter: popgate.conf at a reload (SIGHUP
 * or SIGUSR1), and the lists (relay.local_domains, relay.sender_addresses) when
 * the files that they were read from have changed and rest. The main thread's. */
#ifndef POPGATE_RELOAD_H
#define POPGATE_RELOAD_H

#include <stdbool.h>

struct gate_config;

/* Log settings of gc that are valid and probably not meant.
 *   sure  see facts_socketmap() */
void reload_warn(const struct gate_config *gc, bool sure);

/* Read the configuration at path again and put it into force. A bad one is
 * logged, and the old one stays; so do settings that need a restart, which are
 * named in the log. Tells systemd and the status page. Needs one earlier call
 * of reload_watch_lists(). */
void reload_now(const char *path);

/* Watch the files that the lists of the newest configuration came from. */
void reload_watch_lists(void);

/* Read changed lists anew; every second or so. */
void reload_changed_lists(void);

#endif
