/* own - the addresses of this machine: its interfaces', their broadcast
 * addresses, and the default gateways (behind which NAT puts many clients).
 * A login that seems to come from one of them opens nothing. */
#ifndef POPGATE_OWN_H
#define POPGATE_OWN_H

#include "addr.h"

struct err;

/* Fill set anew (release what it held). What can't be read is left out: -1
 * with err and the old content only when interfaces can't be listed. */
int own_addresses(struct network_set *set, struct err *err);

#endif
