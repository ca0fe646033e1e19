/* SPDX-License-Identifier: ISC */
/* datagram - Unix datagram sockets that others write to. */
#ifndef POPGATE_DATAGRAM_H
#define POPGATE_DATAGRAM_H

#include <sys/types.h>
#include <sys/un.h>

struct err;

/* Bind a socket at path, where the one of a process that is gone may still
 * be. It has this mode from the first moment that anybody can see it, or a
 * stricter one.
 *   address_r  for datagram_close()
 * Returns a non-blocking, close-on-exec socket with a large buffer, or -1
 * with ERR_IO naming path. */
int datagram_open(const char *path, mode_t mode, struct sockaddr_un *address_r,
    struct err *err);
void datagram_close(int fd, const struct sockaddr_un *address);

#endif
