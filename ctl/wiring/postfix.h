/* SPDX-License-Identifier: ISC */
/* wiring/postfix - `popgatectl wiring postfix`: the commands for the Postfix
 * that is here, all its instances. */
#ifndef POPGATE_WIRING_POSTFIX_H
#define POPGATE_WIRING_POSTFIX_H

#include <stdbool.h>

#include "common/mta/postfix_wiring.h"
#include "ctl/ctl.h"

/* Print what wires it, as commands of a shell or (diff) as a patch.
 *   dir  the configuration directory of its default instance; NULL: the usual
 *        one
 * Returns an exit status; -1 when dir is NULL and no Postfix is here. */
int wiring_postfix(const struct ctl *ctl, const struct wiring_sockets *sockets,
    const char *dir, bool diff);

#endif
