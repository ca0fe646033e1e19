/* SPDX-License-Identifier: ISC */
/* resolve - ask DNS for addresses and texts, in bounded time. The only file
 * that includes c-ares. One thread. */
#ifndef POPGATE_RESOLVE_H
#define POPGATE_RESOLVE_H

#include <stddef.h>

#include "common/base/addr.h"

struct err;
struct resolver;

enum { RESOLVE_ADDRS_MAX = 16, RESOLVE_TEXT_MAX = 512 };

enum resolve_result {
	RESOLVE_FOUND,
	RESOLVE_NONE, /* the name doesn't exist, or has no such record */
	RESOLVE_FAILED /* nobody knows: err says why */
};

/* server: "ADDRESS" or "ADDRESS:PORT" ("[ADDRESS]:PORT" for IPv6), NULL: those
 * of the system. timeout_ms: of one try; there are two for each server, and a
 * question as a whole is given up after five times that. Returns 0, or -1 with
 * err. */
int resolver_open(
    const char *server, int timeout_ms, struct resolver **r_r, struct err *err);
void resolver_close(struct resolver **r); /* NULL-safe; sets *r to NULL */

/* The IPv4 addresses of a name; the search list isn't used. */
enum resolve_result resolve_a(struct resolver *r, const char *name,
    struct addr v[RESOLVE_ADDRS_MAX], size_t *n_r, struct err *err);

/* Its first text, cut to fit; may hold anything but NUL, which is '?'. */
enum resolve_result resolve_txt(struct resolver *r, const char *name,
    char text[RESOLVE_TEXT_MAX], struct err *err);

#endif
