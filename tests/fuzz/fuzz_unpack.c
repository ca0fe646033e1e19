/* SPDX-License-Identifier: ISC */
/* A packed file: unpacking ends, within the memory that it may use. */
#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/logs/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { ENOUGH = 4 * 1024 * 1024 }; /* of a bomb */
	static char buf[16384];
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct unpack *u = NULL;
	struct err err;
	ssize_t n;

	assert(fd != -1);
	assert(write(fd, data, size) == (ssize_t)size);
	if (unpack_open(fd, &u, &err) != 1) {
		assert(u == NULL);
		(void)close(fd);
		return 0;
	}
	for (size_t got = 0; got < ENOUGH; got += (size_t)n) {
		n = unpack_read(u, buf, sizeof(buf), &err);
		if (n <= 0)
			break;
		assert(n <= (ssize_t)sizeof(buf));
	}
	unpack_close(&u);
	return 0;
}
