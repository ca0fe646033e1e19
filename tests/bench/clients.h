/* SPDX-License-Identifier: ISC */
/* clients - the addresses the benchmark's programs agree on. */
#ifndef POPGATE_CLIENTS_H
#define POPGATE_CLIENTS_H

#include <stdint.h>

enum {
	CLIENTS_MAX = 1 << 24, /* addresses in 10.0.0.0/8 */
	CLIENT_TEXT_MAX = 16,
	USER_TEXT_MAX = 20
};

/* The i-th client of the login table: 10.0.0.0 + i. */
void client_known(char text[CLIENT_TEXT_MAX], uint32_t i);

/* A client that is not in it: in 198.18.0.0/15, RFC 2544's benchmark net. */
void client_stranger(char text[CLIENT_TEXT_MAX], uint32_t i);

/* The user who logged in from the i-th client; users sort as clients do. */
void client_user(char text[USER_TEXT_MAX], uint32_t i);

#endif
