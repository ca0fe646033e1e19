/* SPDX-License-Identifier: ISC */
#include "common/base/place.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"

enum {
	LINKS_MAX = 40, /* as the kernel's MAXSYMLINKS */
	WAY_MAX = 2048, /* bytes of a path, and of all that is to be walked */
	TRIES = 100 /* names of a temporary file */
};

static const char private_name[] = "new";
/* what nobody else calls a file of his: he may have "main.cf.20261130.new" */
static const char temporary_mark[] = ".popgate-";

static int
fail(const char *path, struct err *err)
{
	int error = errno;

	err_set(err, ERR_IO, "%s: %s", path, strerror(error));
	errno = error; /* for our callers */
	return -1;
}

/* --- the directory --- */

/* A way that is being walked. */
struct way {
	int at; /* a directory, O_PATH */
	uid_t by; /* whose word the next step is */
	int links;
	char rest[WAY_MAX]; /* to be walked yet */
};

static int
go_to(struct way *w, int fd)
{
	(void)close(w->at);
	w->at = fd;
	return fd == -1 ? -1 : 0;
}

/* Take the first component off the rest. */
static bool
take_component(struct way *w, char *name, bool *long_r)
{
	size_t skip = strspn(w->rest, "/");
	size_t n = strcspn(w->rest + skip, "/");

	*long_r = n > NAME_MAX;
	if (n == 0 || *long_r)
		return false;
	memcpy(name, w->rest + skip, n);
	name[n] = '\0';
	memmove(w->rest, w->rest + skip + n, strlen(w->rest + skip + n) + 1);
	return true;
}

/* Put what the symbolic link fd says before the rest. */
static int
follow(struct way *w, int fd)
{
	char link[WAY_MAX];
	ssize_t n = readlinkat(fd, "", link, sizeof(link));
	size_t rest = strlen(w->rest);

	if (n <= 0 || ++w->links > LINKS_MAX) {
		errno = n == -1 ? errno : ELOOP;
		return -1;
	}
	if ((size_t)n + rest + 1 > sizeof(w->rest)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(link + n, w->rest, rest + 1);
	memcpy(w->rest, link, (size_t)n + rest + 1);
	return *link == '/' ? go_to(w, open("/", O_PATH | O_CLOEXEC)) : 0;
}

/* Go one component on. -1: errno is set, EXDEV when it isn't to be trusted. */
static int
step(struct way *w, const char *name)
{
	int fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), ret;
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1) {
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	/* the owner of a directory can put anything there, and a link to
	 * anything of others */
	if (w->by != 0 && w->by != st.st_uid) {
		(void)close(fd);
		errno = EXDEV;
		return -1;
	}
	w->by = st.st_uid;
	if (!S_ISLNK(st.st_mode))
		return go_to(w, fd);
	ret = follow(w, fd);
	(void)close(fd);
	return ret;
}

/* Returns a descriptor, or -1 with errno. */
static int
walk(const char *path, struct way *w)
{
	char name[NAME_MAX + 1];
	struct stat st;
	bool too_long;

	*w = (struct way){ .at = -1 };
	(void)snprintf(w->rest, sizeof(w->rest), "%s", path);
	w->at = open(*path == '/' ? "/" : ".", O_PATH | O_CLOEXEC);
	if (w->at == -1)
		return -1;
	/* the root directory is nobody's but the administrator's */
	if (*path != '/' && fstat(w->at, &st) == 0)
		w->by = st.st_uid;
	while (take_component(w, name, &too_long))
		if (step(w, name) == -1)
			goto fail;
	if (too_long) {
		errno = ENAMETOOLONG;
		goto fail;
	}
	int fd = openat(w->at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)close(w->at);
	return fd;
fail:
	(void)go_to(w, -1);
	return -1;
}

static int
open_directory(struct place *p, const char *directory, struct err *err)
{
	struct way w = { .at = -1 };

	/* others can't do more by us than we could anyway */
	p->dir = geteuid() != 0
	    ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
	    : walk(directory, &w);
	if (p->dir != -1)
		return 0;
	if (errno != EXDEV)
		return fail(p->path, err);
	err_set(err, ERR_IO,
	    "%s: not written: on the way there user %ld could lead root into a directory of others: write it as the user whom the directory belongs to, or choose one that only root may move",
	    p->path, (long)w.by);
	return -1;
}

int
place_open(struct place *p, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	char directory[WAY_MAX];

	*p = PLACE_NONE;
	p->path = path;
	if (*name == '\0' || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0) {
		errno = EISDIR;
		return fail(path, err);
	}
	if (strlen(name) > NAME_MAX || strlen(path) >= WAY_MAX) {
		errno = ENAMETOOLONG;
		return fail(path, err);
	}
	memcpy(p->name, name, strlen(name) + 1);
	(void)snprintf(directory, sizeof(directory), "%.*s",
	    slash == NULL ? 1 : (int)(slash - path) + 1,
	    slash == NULL ? "." : path);
	return open_directory(p, directory, err);
}

void
place_close(struct place *p)
{
	place_abort(p);
	if (p->dir != -1)
		(void)close(p->dir);
	p->dir = -1;
}

/* --- a new file --- */

/* Numbers, since a file that a killed process left has the pid of another one
 * one day, and a user may have made all those he expects. false: errno is as
 * it was. */
static bool
next_name(struct place *p, int i)
{
	assert(i >= 0 && i <= TRIES);
	int n = snprintf(p->temporary, sizeof(p->temporary), "%s%s%ld%02d.new",
	    p->name, temporary_mark, (long)getpid(), i);

	if (i == TRIES)
		errno = EEXIST;
	else if (n >= (int)sizeof(p->temporary))
		errno = ENAMETOOLONG;
	else
		return true;
	p->temporary[0] = '\0';
	return false;
}

int
place_create(struct place *p, struct err *err)
{
	assert(p->dir != -1);
	for (int i = 0; next_name(p, i); i++) {
		int fd = openat(p->dir, p->temporary,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd != -1)
			return fd;
		if (errno == EEXIST)
			continue;
		p->temporary[0] = '\0';
		break;
	}
	return fail(p->path, err);
}

/* Is fd the directory that we made? Yes if it is ours and nobody else may write
 * it: no other user can make such a one. */
static bool
is_private(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	    (st.st_mode & 0777) == 0700;
}

int
place_create_private(struct place *p, char *name_r, struct err *err)
{
	assert(p->dir != -1 && p->private_dir == -1);
	for (int i = 0; next_name(p, i); i++) {
		if (mkdirat(p->dir, p->temporary, 0700) == 0)
			break;
		if (errno == EEXIST)
			continue;
		p->temporary[0] = '\0';
		break;
	}
	if (p->temporary[0] == '\0')
		return fail(p->path, err);
	p->private_dir = openat(p->dir, p->temporary,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p->private_dir == -1)
		return fail(p->path, err);
	if (!is_private(p->private_dir)) {
		errno = EPERM;
		return fail(p->path, err);
	}
	/* by the descriptor: its name may be another directory's by now */
	(void)snprintf(name_r, PLACE_PRIVATE_MAX, "/proc/self/fd/%d/%s",
	    p->private_dir, private_name);
	return 0;
}

int
place_created(struct place *p, struct err *err)
{
	assert(p->private_dir != -1);
	int fd = openat(
	    p->private_dir, private_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	return fd == -1 ? fail(p->path, err) : fd;
}

/* Give the new file owner and mode of the old one, so that the same users can
 * read it. Set-id bits aren't taken over: any user may have put the old file
 * there. */
static int
as_the_old(const struct place *p, int fd, mode_t mode)
{
	struct stat st;

	if (fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode))
		return fchmod(fd, mode);
	if (fchown(fd, st.st_uid, st.st_gid) == -1 && errno != EPERM)
		return -1;
	return fchmod(fd, st.st_mode & 0777);
}

static void
remove_private(struct place *p)
{
	if (p->private_dir == -1)
		return;
	(void)unlinkat(p->private_dir, private_name, 0);
	(void)close(p->private_dir);
	p->private_dir = -1;
	(void)unlinkat(p->dir, p->temporary, AT_REMOVEDIR);
}

int
place_commit(
    struct place *p, int fd, mode_t mode, struct stat *st_r, struct err *err)
{
	bool private = p->private_dir != -1;

	assert(p->dir != -1 && (private || p->temporary[0] != '\0'));
	assert((mode & ~(mode_t)0777) == 0);
	if (as_the_old(p, fd, mode) == -1 || fsync(fd) == -1 ||
	    renameat(private ? p->private_dir : p->dir,
		private ? private_name : p->temporary, p->dir, p->name) == -1)
		return fail(p->path, err);
	remove_private(p);
	p->temporary[0] = '\0';
	/* a rename is only there after a crash when its directory is */
	if ((st_r != NULL && fstat(fd, st_r) == -1) || fsync(p->dir) == -1)
		return fail(p->path, err);
	return 0;
}

void
place_abort(struct place *p)
{
	remove_private(p);
	if (p->temporary[0] != '\0')
		(void)unlinkat(p->dir, p->temporary, 0);
	p->temporary[0] = '\0';
}

/* --- the file that is there --- */

/* "name.popgate-DIGITS.new" */
static bool
is_left(const struct place *p, const char *name)
{
	size_t n = strlen(p->name), mark = strlen(temporary_mark);

	if (strncmp(name, p->name, n) != 0 ||
	    strncmp(name + n, temporary_mark, mark) != 0 ||
	    !isdigit((unsigned char)name[n + mark]))
		return false;
	name += n + mark;
	return strcmp(name + strspn(name, "0123456789"), ".new") == 0;
}

static void
remove_left(const struct place *p, const char *name)
{
	if (unlinkat(p->dir, name, 0) == 0 || errno != EISDIR)
		return;
	int fd = openat(
	    p->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd != -1) {
		(void)unlinkat(fd, private_name, 0);
		(void)close(fd);
	}
	(void)unlinkat(p->dir, name, AT_REMOVEDIR);
}

void
place_clean(struct place *p)
{
	assert(p->dir != -1);
	int fd = openat(p->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (dir == NULL) {
		if (fd != -1)
			(void)close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		if (is_left(p, entry->d_name))
			remove_left(p, entry->d_name);
	(void)closedir(dir);
}

int
place_remove(struct place *p, struct err *err)
{
	assert(p->dir != -1);
	return unlinkat(p->dir, p->name, 0) == 0 || errno == ENOENT
	    ? 0
	    : fail(p->path, err);
}

/* May it be changed where it is? A hard link to a file of others may have been
 * put there, by who may write the directory. */
static bool
is_ours_to_change(const struct place *p, int fd)
{
	struct stat st, dir;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		return false;
	if (geteuid() != 0)
		return true;
	return fstat(p->dir, &dir) == 0 && st.st_uid == dir.st_uid &&
	    (dir.st_mode & 022) == 0;
}

int
place_truncate(struct place *p, struct err *err)
{
	int fd = openat(p->dir, p->name,
	    O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	bool done = false;

	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd != -1) {
		done = is_ours_to_change(p, fd) && ftruncate(fd, 0) == 0;
		(void)close(fd);
	}
	return done ? 0 : place_remove(p, err);
}

/* --- sockets --- */

/* Group and mode of what fd (O_PATH) is of. */
static int
set_group_mode(int fd, mode_t mode, gid_t gid)
{
	char name[PLACE_PRIVATE_MAX];
	struct stat st;

	if (fstat(fd, &st) == -1 ||
	    (gid != (gid_t)-1 && gid != st.st_gid &&
		fchownat(fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) == -1))
		return -1;
	/* such a descriptor's mode is set by this name only */
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return (st.st_mode & 07777) == mode ? 0 : chmod(name, mode);
}

int
place_socket(const char *path, mode_t mode, gid_t gid, struct err *err)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), ret = -1;
	struct stat st;

	assert((mode & ~(mode_t)0777) == 0);
	if (fd == -1 || fstat(fd, &st) == -1)
		(void)fail(path, err);
	else if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		err_set(err, ERR_IO,
		    "%s: somebody has put something else there since the socket was made: let nobody else write its directory",
		    path);
	else if (set_group_mode(fd, mode, gid) == -1)
		(void)fail(path, err);
	else
		ret = 0;
	if (fd != -1)
		(void)close(fd);
	return ret;
}
