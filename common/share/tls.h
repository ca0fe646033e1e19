/* SPDX-License-Identifier: ISC */
/* tls - TLS over a connected socket, by OpenSSL, that never waits longer than
 * it is told. The server's certificate must be for its name and signed by whom
 * we trust. Threads: a connection belongs to one at a time. */
#ifndef POPGATE_SHARE_TLS_H
#define POPGATE_SHARE_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct tls;

/* Shake hands.
 *   fd           connected; stays the caller's, and doesn't block from now on
 *   host         a name or an address, which the certificate must be for
 *   ca           PEM file of those who may have signed it; "": whom the system
 *                trusts
 *   certificate  PEM file of our own certificate and its key; "": none
 *   until_ms     clock_monotonic_ms() by which it is done, or fails
 * 0, or -1 with err. */
int tls_open(int fd, const char *host, const char *ca, const char *certificate,
    int64_t until_ms, struct tls **tls_r, struct err *err);
void tls_close(struct tls **tls); /* NULL-safe */

/* Bytes read or written; 0: none at the moment; -1: tls_words() says why. */
ssize_t tls_read(struct tls *tls, char *buf, size_t size);
ssize_t tls_write(struct tls *tls, const char *buf, size_t size);

/* Why the last call of this thread failed, into buf; returns buf. */
enum { TLS_WORDS = 120 };
const char *tls_words(char buf[TLS_WORDS]);

/* Has it more to read than poll(2) knows of? false for NULL. */
bool tls_pending(const struct tls *tls);

#endif
