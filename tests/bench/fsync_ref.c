/* SPDX-License-Identifier: ISC */
/* fsync_ref - how long does this file system take to make 4 KiB durable?
 * usage: fsync_ref FILE
 * Appends a block and calls fdatasync(), again and again; prints the median
 * and the 99th percentile in microseconds. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, TIMES = 300 };

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	static const char block[BLOCK];
	static double us[TIMES];
	int fd;

	if (argc != 2) {
		fputs("usage: fsync_ref FILE\n", stderr);
		return EX_USAGE;
	}
	fd = open(argv[1], O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	if (fd == -1) {
		perror(argv[1]);
		return EX_CANTCREAT;
	}
	for (int i = 0; i < TIMES; i++) {
		us[i] = now_us();
		if (write(fd, block, BLOCK) != BLOCK || fdatasync(fd) == -1) {
			perror(argv[1]);
			return EX_IOERR;
		}
		us[i] = now_us() - us[i];
	}
	close(fd);
	qsort(us, TIMES, sizeof(*us), by_value);
	printf("fdatasync_p50_us=%.1f fdatasync_p99_us=%.1f\n", us[TIMES / 2],
	    us[TIMES * 99 / 100]);
	return EX_OK;
}
