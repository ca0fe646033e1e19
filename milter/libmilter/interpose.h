/* SPDX-License-Identifier: ISC */
/* interpose - what libmilter gets instead of two functions of libc. */
#ifndef POPGATE_INTERPOSE_H
#define POPGATE_INTERPOSE_H

/* Descriptors from this number on are kept for others: libmilter gets no
 * connection there. The system gives the lowest number that is free, so all
 * below are in use then. Call it before the first connection; without the call
 * nothing is kept. */
void interpose_keep_from(int fd);

#endif
