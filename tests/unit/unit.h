/* SPDX-License-Identifier: ISC */
/* unit - what every unit test includes, and where its data is. */
#ifndef POPGATE_UNIT_H
#define POPGATE_UNIT_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/check.h"

/* Write text to a new file and return its name (static, one at a time per
 * slot 0..3), which the caller removes. */
static inline const char *
unit_file(int slot, const char *text)
{
	static char names[4][64];
	char *name = names[slot];

	(void)snprintf(name, sizeof(names[slot]), "/tmp/popgate-unit-XXXXXX");
	int fd = mkstemp(name);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
	return name;
}

/* A new directory (static); unit_remove() removes it. */
static inline const char *
unit_dir(void)
{
	static char name[64];

	(void)snprintf(name, sizeof(name), "/tmp/popgate-unit-XXXXXX");
	assert_non_null(mkdtemp(name));
	return name;
}

/* The same for databases of which nothing is tested that a disk does: in memory
 * where that can be, or each commit waits for the disk. */
static inline const char *
unit_memory_dir(void)
{
	static char name[64];

	(void)snprintf(name, sizeof(name), "/dev/shm/popgate-unit-XXXXXX");
	return mkdtemp(name) != NULL ? name : unit_dir();
}

/* Remove a directory with all that is in it. 0, as a tear-down returns. */
static inline int
unit_remove(const char *dir)
{
	char command[300];

	assert_contains(dir, "/popgate-unit-");
	(void)snprintf(command, sizeof(command), "rm -r '%s'", dir);
	return system(command);
}

/* "dir/name"; static, four at a time. */
static inline const char *
unit_path(const char *dir, const char *name)
{
	static char path[4][400];
	static unsigned i;

	i = (i + 1) % 4;
	(void)snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static inline const char *
unit_data(const char *file)
{
	static char path[512];
	const char *dir = getenv("POPGATE_TEST_DATA");

	(void)snprintf(path, sizeof(path), "%s/%s",
	    dir == NULL ? "tests/data" : dir, file);
	return path;
}

#endif
