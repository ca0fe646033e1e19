/* SPDX-License-Identifier: ISC */
/* wiring/sendmail - `popgatectl wiring sendmail`: the commands for the Sendmail
 * that is here. */
#ifndef POPGATE_WIRING_SENDMAIL_H
#define POPGATE_WIRING_SENDMAIL_H

#include <stdbool.h>

#include "common/mta/sendmail_wiring.h"
#include "ctl/ctl.h"

/* Print what wires it, as commands of a shell or (diff) as a patch.
 *   config  the path of sendmail.cf, or of its directory; NULL: the usual one
 * Returns an exit status; -1 when config is NULL and no Sendmail is here. */
int wiring_sendmail(const struct ctl *ctl,
    const struct sendmail_sockets *sockets, const char *config, bool diff);

#endif
