/* SPDX-License-Identifier: ISC */
/* wiring/exim - `popgatectl wiring exim`: the commands for the Exim that is
 * here. */
#ifndef POPGATE_WIRING_EXIM_H
#define POPGATE_WIRING_EXIM_H

#include <stdbool.h>

#include "ctl/ctl.h"

/* Print what wires it, as commands of a shell or (diff) as a patch.
 *   config  the file that Exim reads, or Debian's directory; NULL: the usual
 * Returns an exit status. */
int wiring_exim(const struct ctl *ctl, const char *config, bool diff);

#endif
