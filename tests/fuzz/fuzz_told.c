/* SPDX-License-Identifier: ISC */
/* A message to a login source: what is one, is written the same again; all
 * pointers stay inside. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/records/told.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size == 0 ? 1 : size), again[TOLD_MAX];
	struct told told;

	assert(copy != NULL);
	memcpy(copy, data, size);
	if (told_parse(copy, size, &told)) {
		assert(told_format(&told, again) == size);
		assert(memcmp(again, copy, size) == 0);
		(void)told_service_good(told.service);
		(void)told_server_good(told.server);
	}
	free(copy);
	return 0;
}
