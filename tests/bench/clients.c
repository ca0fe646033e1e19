/* SPDX-License-Identifier: ISC */
#include "tests/bench/clients.h"

#include <stdio.h>

static void
format(char text[CLIENT_TEXT_MAX], uint32_t addr)
{
	snprintf(text, CLIENT_TEXT_MAX, "%u.%u.%u.%u", addr >> 24 & 0xff,
	    addr >> 16 & 0xff, addr >> 8 & 0xff, addr & 0xff);
}

void
client_known(char text[CLIENT_TEXT_MAX], uint32_t i)
{
	format(text, UINT32_C(10) << 24 | i % CLIENTS_MAX);
}

void
client_stranger(char text[CLIENT_TEXT_MAX], uint32_t i)
{
	format(
	    text, (UINT32_C(198) << 24 | UINT32_C(18) << 16) | (i & 0x1ffff));
}

void
client_user(char text[USER_TEXT_MAX], uint32_t i)
{
	char client[CLIENT_TEXT_MAX];

	client_known(client, i);
	snprintf(text, USER_TEXT_MAX, "user%s", client);
}
