/* SPDX-License-Identifier: ISC */
/* An entry of the stream: what is one, is within its limits and is written the
 * same again. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/share/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size == 0 ? 1 : size), again[SHARE_BODY_MAX];
	struct share_entry entry;

	assert(copy != NULL);
	memcpy(copy, data, size);
	if (share_entry_decode(copy, size, &entry) == SHARE_GOOD) {
		assert(share_entry_good(&entry));
		assert(share_entry_encode(&entry, again) == size);
		assert(memcmp(again, copy, size) == 0);
	}
	free(copy);
	return 0;
}
