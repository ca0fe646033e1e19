/* SPDX-License-Identifier: ISC */
/* ssl_wants - what a call of OpenSSL on a socket that doesn't block waits for.
 */
#ifndef POPGATE_SSL_WANTS_H
#define POPGATE_SSL_WANTS_H

#include <openssl/ssl.h>
#include <poll.h>

/* The events of poll(2) to wait for before the call that returned rc (below 1)
 * is made again; 0: it has failed. To be asked at once, by the same thread.
 * Source: SSL_get_error(3). */
static inline short
ssl_wants(const SSL *ssl, int rc)
{
	switch (SSL_get_error(ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return POLLIN;
	case SSL_ERROR_WANT_WRITE:
		return POLLOUT;
	default:
		return 0;
	}
}

#endif
