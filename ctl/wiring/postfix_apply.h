/* SPDX-License-Identifier: ISC */
/* postfix_apply - the edits of a postfix_wiring plan as postconf's arguments,
 * and made on a configuration directory. One thread. */
#ifndef POPGATE_POSTFIX_APPLY_H
#define POPGATE_POSTFIX_APPLY_H

#include "common/mta/postfix_wiring.h"

struct err;

/* postconf's option for an edit ("-e", "-P", "-F") and the argument behind it,
 * "service/type/name=value", to be freed by the caller; NULL: no memory. */
const char *postfix_edit_option(const struct wiring_edit *edit);
char *postfix_edit_argument(const struct wiring_edit *edit);

/* Make the edits in dir, a copy, by postconf, and end each file's last line
 * first, if it isn't ended. 0, or -1 with err: then those before it are made.
 */
int
postfix_apply(const char *dir, const struct wiring_plan *plan, struct err *err);

/* The changes that the edits make in dir's main.cf and master.cf, as a unified
 * diff, made on a copy: to be freed by the caller; NULL with err. "": none. */
char *postfix_apply_diff(
    const char *dir, const struct wiring_plan *plan, struct err *err);

#endif
