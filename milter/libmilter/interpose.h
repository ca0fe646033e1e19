/* override - what libmilter gets instead of two functions of libc. */
#ifndef POPGATE_OVERRIDE_H
#define POPGATE_OVERRIDE_H

/* Descriptors from this number on are kept for others: libmilter gets no
 * connection there. The system gives the lowest number that is free, so all
 * below are in use then. Before the first connection; else there is none. */
void override_keep_from(int fd);

#endif
