/* SPDX-License-Identifier: ISC */
/* A pattern of an admin, a zero byte, a message. What is taken begins and ends
 * as it must, and what it finds stands inside the message. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/grammar/custom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
inside(struct span s, const char *begin, size_t len)
{
	return begin <= s.p && s.p <= s.end && s.end <= begin + len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = size == 0 ? NULL : memchr(data, 0, size);
	struct custom *custom;
	struct span user, ip;
	struct err err;

	if (zero == NULL ||
	    custom_compile("popd", (const char *)data, NULL, &custom, &err) ==
		-1)
		return 0;
	const char *pattern = (const char *)data;
	size_t len = (size_t)(zero - data), n = size - len - 1;

	assert(strncmp(pattern, "\\A", 2) == 0 || strchr("^(", *pattern));
	assert(pattern[len - 1] == '$' ||
	    (len > 1 && memcmp(pattern + len - 2, "\\z", 2) == 0));
	char *msg = malloc(n == 0 ? 1 : n);

	assert(msg != NULL);
	memcpy(msg, zero + 1, n);
	if (custom_match(custom, span_of(msg, n), &user, &ip))
		assert(inside(user, msg, n) && inside(ip, msg, n));
	free(msg);
	custom_free(&custom);
	return 0;
}
