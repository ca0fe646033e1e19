/* SPDX-License-Identifier: ISC */
/* A configuration file of any bytes: an error with a text, or a configuration
 * that can be freed. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig forgets a string that stands before a syntax error */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { .text = "" };
	struct config *cfg;
	char path[64];

	/* the text may name any file to include */
	if (memmem(data, size, "@include", 8) != NULL)
		return 0;
	int fd = memfd_create("config", MFD_CLOEXEC);

	assert(fd != -1 && write(fd, data, size) == (ssize_t)size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (config_load(path, &cfg, &err) == -1)
		assert(cfg == NULL && err.text[0] != '\0');
	config_free(cfg);
	(void)close(fd);
	return 0;
}
