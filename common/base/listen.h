/* SPDX-License-Identifier: ISC */
/* listen - where a service listens: "unix:/path", "inet:host:port" or
 * libmilter's "inet:port@host" ("inet6:" the same). A port without a host
 * would listen to the whole network and is refused. */
#ifndef POPGATE_LISTEN_H
#define POPGATE_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

struct err;

enum { LISTEN_PATH_MAX = 108, LISTEN_HOST_MAX = 256, LISTEN_PEER_MAX = 64 };

#define LISTEN_EXPECTED                        \
	"\"unix:/path\" (at most 107 bytes), " \
	"\"inet:host:port\" or \"inet:port@host\""

struct listen_spec {
	bool is_unix;
	bool ipv6;
	char path[LISTEN_PATH_MAX]; /* when is_unix */
	char host[LISTEN_HOST_MAX];
	unsigned port;
};

/* Returns 0, or -1 with ERR_INVALID. */
int listen_parse(const char *text, struct listen_spec *spec, struct err *err);

/* Does it listen to this machine only: a Unix socket, an address of loopback,
 * or "localhost"? */
bool listen_is_local(const struct listen_spec *spec);

/* Write spec as libmilter's smfi_setconn() wants it, into buf of at least
 * 400. */
void listen_for_libmilter(const struct listen_spec *spec, char *buf);

/* Keep other programs that start now from the directory of a Unix socket,
 * from listen_prepare() until it listens: else two that find a dead socket
 * could each remove what the other has just made. Returns a descriptor to
 * close(2), or -1: nothing to lock, not allowed to, or held for a second. */
int listen_lock(const struct listen_spec *spec);

/* A Unix socket's path before somebody binds it: no living owner (probed by
 * connect(2)), no other kind of file in its place; a dead socket is removed.
 * Nothing to do for inet. Returns 0, or -1 with ERR_IO naming path, and the
 * missing directory if that is why. */
int listen_prepare(const struct listen_spec *spec, struct err *err);

/* The descriptor of this process that listens on this Unix socket, for a
 * library that doesn't tell; -1: none. */
int listen_find(const struct listen_spec *spec);

/* Connect as a client. Returns a blocking, close-on-exec socket, or -1 with
 * errno (ENOENT for a host that has no address). */
int listen_connect(const struct listen_spec *spec);

/* listen_connect() that never waits: errno is EAGAIN when the backlog is full.
 * The socket is non-blocking, and an inet one may not be connected yet. */
int listen_poke(const struct listen_spec *spec);

/* The peer of fd, for a log line: "pid 12, uid 101" of a Unix socket, else
 * "192.0.2.1 port 1025". text has LISTEN_PEER_MAX. Returns it. */
const char *listen_peer(int fd, char *text);

/* Bind and listen; mode is in force before anyone can connect.
 *   gid  group of a Unix socket, (gid_t)-1 for the process's own
 * Returns a non-blocking, close-on-exec socket, or -1 with err. */
int listen_open(
    const struct listen_spec *spec, mode_t mode, gid_t gid, struct err *err);

#endif
