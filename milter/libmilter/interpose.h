/* SPDX-License-Identifier: ISC */
/* interpose - what libmilter gets instead of two functions of libc. */
#ifndef POPGATE_INTERPOSE_H
#define POPGATE_INTERPOSE_H

/* Descriptors from this number on are kept for others: libmilter gets no
 * connection there. The system gives the lowest number that is free, so all
 * below are in use then. Before the first connection; else there is none. */
void interpose_keep_from(int fd);

#endif
