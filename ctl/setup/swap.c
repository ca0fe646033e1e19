/* SPDX-License-Identifier: ISC */
#include "ctl/setup/swap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/base/err.h"

enum {
	FILE_MAX = 16 << 20, /* bytes; no configuration is larger */
	NAMES_MAX = 4096, /* bytes of all names of extended attributes */
	VALUE_MAX = 65536
};

static const char old_end[] = ".popgate-old";

static int
fail(const char *path, struct err *err)
{
	int error = errno;

	err_set(err, ERR_IO, "%s: %s", path, strerror(error));
	errno = error;
	return -1;
}

/* --- attributes --- */

/* An attribute that the file system can't keep was not there before either. */
static bool
may_be_left(void)
{
	return errno == ENOTSUP || errno == ENODATA || errno == EPERM;
}

static int
copy_xattrs(int from, int to)
{
	char names[NAMES_MAX];
	char *value = malloc(VALUE_MAX);
	ssize_t n = flistxattr(from, names, sizeof(names));
	int ret = value == NULL ? -1 : 0;

	if (n == -1 && !may_be_left())
		ret = -1;
	for (ssize_t at = 0; ret == 0 && at < n;
	     at += (ssize_t)strlen(names + at) + 1) {
		ssize_t len = fgetxattr(from, names + at, value, VALUE_MAX);

		if (len == -1 ||
		    fsetxattr(to, names + at, value, (size_t)len, 0) == -1)
			ret = may_be_left() ? 0 : -1;
	}
	free(value);
	return ret;
}

int
swap_attributes(int from, int to)
{
	struct stat st;

	if (fstat(from, &st) == -1 ||
	    (fchown(to, st.st_uid, st.st_gid) == -1 && errno != EPERM) ||
	    fchmod(to, st.st_mode & 07777) == -1 || copy_xattrs(from, to) == -1)
		return -1;
	const struct timespec times[2] = { st.st_atim, st.st_mtim };

	return futimens(to, times);
}

/* --- reading --- */

static int
read_open(int fd, const char *path, size_t size, char *text, size_t *len_r,
    struct err *err)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, text + len, size - len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return fail(path, err);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	*len_r = len;
	return 1;
}

int
swap_read(const char *path, char **text_r, size_t *len_r, struct err *err)
{
	int fd = open(
	    path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int ret = -1;

	*text_r = NULL;
	*len_r = 0;
	if (fd == -1)
		return errno == ENOENT || errno == ENOTDIR ? 0
							   : fail(path, err);
	if (fstat(fd, &st) == -1)
		(void)fail(path, err);
	else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		err_set(err, ERR_INVALID,
		    "%s: not a regular file of at most %d MB", path,
		    FILE_MAX >> 20);
	else if ((*text_r = malloc((size_t)st.st_size + 1)) == NULL)
		err_nomem(err, path, (size_t)st.st_size);
	else
		ret = read_open(
		    fd, path, (size_t)st.st_size, *text_r, len_r, err);
	if (ret == -1) {
		free(*text_r);
		*text_r = NULL;
	}
	(void)close(fd);
	return ret;
}

/* --- replacing --- */

static int
write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The attributes that place_commit() doesn't set. */
static int
take_after(int fd, const char *like, int times)
{
	int from = open(like, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), ret = 0;
	struct stat st;

	if (from == -1)
		return errno == ENOENT ? 0 : -1;
	if (copy_xattrs(from, fd) == -1 || fstat(from, &st) == -1)
		ret = -1;
	else if (times)
		ret = futimens(
		    fd, (struct timespec[2]){ st.st_atim, st.st_mtim });
	(void)close(from);
	return ret;
}

int
swap_stage(struct swap *s, const char *path, const char *text, size_t len,
    const char *like, mode_t mode, int times, struct err *err)
{
	*s = SWAP_NONE;
	if (place_open(&s->place, path, err) == -1)
		return -1;
	s->fd = place_create(&s->place, err);
	if (s->fd == -1)
		goto fail;
	if (write_all(s->fd, text, len) == -1 ||
	    fchmod(s->fd, mode & 0600) == -1 ||
	    take_after(s->fd, like == NULL ? path : like, times) == -1 ||
	    fsync(s->fd) == -1) {
		(void)fail(path, err);
		goto fail;
	}
	return 0;
fail:
	swap_close(s);
	return -1;
}

/* false: too long a name */
static bool
old_name(const struct place *p, char buf[NAME_MAX + 1])
{
	int n = snprintf(buf, NAME_MAX + 1, "%s%s", p->name, old_end);

	if (n > NAME_MAX)
		errno = ENAMETOOLONG;
	return n <= NAME_MAX;
}

static bool
same_file(int dir, const char *a, const char *b)
{
	struct stat x, y;

	return fstatat(dir, a, &x, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstatat(dir, b, &y, AT_SYMLINK_NOFOLLOW) == 0 &&
	    x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A second name for the old file. A file system without hard links does
 * without: the copy in the journal is there as well. */
static int
keep_old(const struct place *p, struct err *err)
{
	char name[NAME_MAX + 1];

	if (!old_name(p, name))
		return fail(p->path, err);
	if (linkat(p->dir, p->name, p->dir, name, 0) == 0 || errno == ENOENT ||
	    errno == EPERM || errno == ENOTSUP || errno == EMLINK ||
	    (errno == EEXIST && same_file(p->dir, p->name, name)))
		return 0;
	if (errno != EEXIST)
		return fail(p->path, err);
	err_set(err, ERR_IO, "%s%s is in the way: remove it", p->path, old_end);
	return -1;
}

int
swap_make(struct swap *s, mode_t mode, int keep, struct err *err)
{
	assert(s->fd != -1 && s->place.dir != -1);
	if ((keep && keep_old(&s->place, err) == -1) ||
	    place_commit(&s->place, s->fd, mode, NULL, err) == -1)
		return -1;
	return 0;
}

void
swap_close(struct swap *s)
{
	if (s->fd != -1)
		(void)close(s->fd);
	if (s->place.dir != -1)
		place_close(&s->place);
	*s = SWAP_NONE;
}

int
swap_back(const char *path, const char *text, size_t len, struct err *err)
{
	char name[NAME_MAX + 1], *old_path, *old = NULL;
	struct place p;
	size_t old_len;
	int ret = 0;

	if (place_open(&p, path, err) == -1)
		return -1;
	if (asprintf(&old_path, "%s%s", path, old_end) == -1)
		old_path = NULL;
	if (old_path != NULL && old_name(&p, name) &&
	    swap_read(old_path, &old, &old_len, NULL) == 1 && old_len == len &&
	    memcmp(old, text, len) == 0) {
		ret = renameat(p.dir, name, p.dir, p.name) == 0 &&
			fsync(p.dir) == 0
		    ? 1
		    : fail(path, err);
	}
	free(old);
	free(old_path);
	place_close(&p);
	return ret;
}

void
swap_done(const char *path)
{
	char name[NAME_MAX + 1];
	struct place p;

	if (place_open(&p, path, NULL) == -1)
		return;
	if (old_name(&p, name))
		(void)unlinkat(p.dir, name, 0);
	place_clean(&p);
	place_close(&p);
}
