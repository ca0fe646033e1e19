/* SPDX-License-Identifier: ISC */
#include "common/grammar/exe.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static bool
only_root_writes(const struct stat *st)
{
	return st->st_uid == 0 && (st->st_mode & S_IWOTH) == 0 &&
	    ((st->st_mode & S_IWGRP) == 0 || st->st_gid == 0);
}

bool
exe_only_root(const char *path, size_t len)
{
	char part[PATH_MAX];
	struct stat st;

	if (len < 2 || len >= sizeof(part) || *path != '/' ||
	    memchr(path, '\0', len) != NULL)
		return false;
	memcpy(part, path, len);
	part[len] = '\0';
	for (char *slash = part; slash != NULL;) {
		bool root = slash == part;

		*slash = '\0';
		if (lstat(root ? "/" : part, &st) == -1 ||
		    !S_ISDIR(st.st_mode) || !only_root_writes(&st))
			return false;
		*slash = '/';
		slash = strchr(slash + 1, '/');
	}
	if (lstat(part, &st) == -1)
		return errno == ENOENT;
	return S_ISREG(st.st_mode) && only_root_writes(&st);
}
