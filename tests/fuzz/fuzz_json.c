/* SPDX-License-Identifier: ISC */
/* Members of a JSON object, out of any bytes: what a daemon's health page
 * could be if somebody else sat on its socket. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = { "daemon", "pid", "reload_good",
		"last_error", "", "\"", "a" };
	char *text = malloc(size + 1), buf[16];
	int64_t n;
	bool b;

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (json_find_text(text, keys[i], buf, sizeof(buf)))
			assert(strlen(buf) < sizeof(buf));
		(void)json_find_number(text, keys[i], &n);
		(void)json_find_bool(text, keys[i], &b);
	}
	free(text);
	return 0;
}
