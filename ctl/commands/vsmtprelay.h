/* SPDX-License-Identifier: ISC */
/* vsmtprelay - the command language of the utility of that name: add, delete,
 * expire, list, dump; its output, one "ip<TAB>ticks" a line, is what
 * makemap(8) reads. */
#ifndef POPGATE_VSMTPRELAY_H
#define POPGATE_VSMTPRELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/ctl.h"

/* Print "ip<TAB>ticks" for each client with newest_ticks <= latest. */
int vsmtprelay_print(struct ctl *ctl, int64_t latest);

/* Record client as seen at ticks, as an admin's entry. */
int vsmtprelay_add(struct ctl *ctl, const char *client, const char *ticks);

#endif
