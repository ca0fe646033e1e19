/* SPDX-License-Identifier: ISC */
/* servant - the process of the room that keeps the log of the copy, and
 * stands in for servers that aren't in it. */
#ifndef POPGATE_SERVANT_H
#define POPGATE_SERVANT_H

struct err;

/* Where everything is logged, in the room. */
#define SERVANT_LOG "/run/popgate-stage/log"

/* Bind /dev/log and start the servant. 0, or -1 with err. */
int servant_start(struct err *err);

#endif
