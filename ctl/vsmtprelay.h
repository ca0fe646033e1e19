/* vsmtprelay - the command language of the utility of that name: add, delete,
 * expire, list, dump; its output, one "ip<TAB>ticks" a line, is what
 * makemap(8) reads. */
#ifndef POPGATE_VSMTPRELAY_H
#define POPGATE_VSMTPRELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl.h"

/* argv: the words behind the program's name. Returns an exit status. */
int vsmtprelay_run(struct ctl *ctl, int argc, char **argv);

/* What the utility calls ticks: when the client was last seen, so that it is
 * too old one window later. An admin's entry that counts longer stands in
 * the future. */
int64_t vsmtprelay_ticks(const struct store_row *row, int64_t window_s);

/* Print "ip<TAB>ticks" for each client with newest_ticks <= latest. */
int vsmtprelay_print(struct ctl *ctl, int64_t latest);

/* Record client as seen at ticks, as an admin's entry. */
int vsmtprelay_add(struct ctl *ctl, const char *client, const char *ticks);

#endif
