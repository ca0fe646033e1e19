/* SPDX-License-Identifier: ISC */
/* A message to a login source: what is one, is written the same again; all
 * pointers stay inside. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/records/login_datagram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size == 0 ? 1 : size), again[LOGIN_DATAGRAM_MAX];
	struct login_datagram told;

	assert(copy != NULL);
	memcpy(copy, data, size);
	if (login_datagram_parse(copy, size, &told)) {
		assert(login_datagram_format(&told, again) == size);
		assert(memcmp(again, copy, size) == 0);
		(void)login_datagram_service_good(told.service);
		(void)login_datagram_server_good(told.server);
	}
	free(copy);
	return 0;
}
