/* SPDX-License-Identifier: ISC */
#include "ctl/stage/room.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/base/err.h"

enum { DEPTH_MAX = 12, PATH_LEN = 1024, COPIED_SIZE_MAX = 4 << 20 };

static int
fail(struct err *err, const char *what, const char *path)
{
	err_set(err, ERR_IO, "%s %s: %s", what, path, strerror(errno));
	return -1;
}

int
room_possible(struct err *err)
{
	if (geteuid() == 0)
		return 0;
	err_set(err, ERR_IO,
	    "a private copy of the mail server needs root: run this as root");
	return -1;
}

int
room_leave(struct err *err)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC |
		CLONE_NEWUTS) == 0)
		return 0;
	err_set(err, ERR_IO,
	    "namespaces for a private copy of the mail server: %s%s",
	    strerror(errno),
	    errno == EPERM
		? " (root needs CAP_SYS_ADMIN for that, in a container too; a systemd unit must not have RestrictNamespaces)"
		: "");
	return -1;
}

static int
mount_at(const char *source, const char *target, const char *type,
    unsigned long flags, const char *options, struct err *err)
{
	return mount(source, target, type, flags, options) == 0
	    ? 0
	    : fail(err, "mount on", target);
}

static int
bind(const char *source, const char *target, struct err *err)
{
	return mount_at(source, target, NULL, MS_BIND | MS_REC, NULL, err);
}

static int
make_dir(const char *path, mode_t mode, struct err *err)
{
	return mkdir(path, mode) == 0 || errno == EEXIST
	    ? 0
	    : fail(err, "make directory", path);
}

static int
without_devices(const char *path, struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NODEV };

	return mount_setattr(
		   AT_FDCWD, path, AT_RECURSIVE, &attr, sizeof(attr)) == 0
	    ? 0
	    : fail(err, "switch off the devices below", path);
}

/* The whole tree of mounts read-only, and a copy of it that can be put
 * somewhere else. A disk's device can be written to all the same, so the tree
 * has none; the copy has, until /dev is made. Its descriptor, or -1. */
static int
freeze(struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	if (mount_at("none", "/", NULL, MS_REC | MS_PRIVATE, NULL, err) == -1)
		return -1;
	if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) ==
	    -1) {
		err_set(err, ERR_IO, "make all mounts read-only: %s%s",
		    strerror(errno),
		    errno == ENOSYS ? " (Linux 5.12 is needed)" : "");
		return -1;
	}
	int tree = open_tree(
	    AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree == -1)
		return fail(err, "copy the mounts of", "/");
	if (without_devices("/", err) == 0)
		return tree;
	(void)close(tree);
	return -1;
}

/* Take from programs of the room all capabilities(7) but the rights over files
 * and users that mail servers use. This process keeps its own. */
static int
bound(struct err *err)
{
	static const int kept[] = { CAP_CHOWN, CAP_DAC_OVERRIDE,
		CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_KILL,
		CAP_SETGID, CAP_SETUID, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT };

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		bool keep = false;

		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			keep |= kept[i] == cap;
		if (!keep && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			return fail(err, "give up rights in", "a private copy");
	}
	return 0;
}

/* A device of the machine's /dev below ours. */
static int
bind_device(const char *name, struct err *err)
{
	char from[64], to[64];

	(void)snprintf(from, sizeof(from), ROOM_REAL "/dev/%s", name);
	(void)snprintf(to, sizeof(to), "/dev/%s", name);
	if (access(from, F_OK) == -1)
		return 0;
	int fd = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	if (fd == -1)
		return fail(err, "make", to);
	(void)close(fd);
	return bind(from, to, err);
}

/* /dev/log is to be ours, so that the rest of /dev is, too. */
static int
own_dev(struct err *err)
{
	static const char *const devices[] = { "null", "zero", "full", "random",
		"urandom", "tty" };
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};

	if (mount_at("stage", "/dev", "tmpfs", MS_NOSUID, "mode=0755", err) ==
	    -1)
		return -1;
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		if (bind_device(devices[i], err) == -1)
			return -1;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i][0], links[i][1]) == -1)
			return fail(err, "make", links[i][1]);
	if (make_dir("/dev/shm", 01777, err) == -1 ||
	    chmod("/dev/shm", 01777) == -1)
		return -1;
	return 0;
}

int
room_furnish(struct err *err)
{
	int tree = freeze(err), rc = -1;

	if (tree == -1)
		return -1;
	(void)umask(022);
	if (mount_at("stage", "/run", "tmpfs", MS_NOSUID | MS_NODEV,
		"mode=0755", err) == -1 ||
	    make_dir(ROOM_DIR, 0755, err) == -1 ||
	    make_dir(ROOM_DIR "/own", 0755, err) == -1 ||
	    make_dir(ROOM_BEHIND, 0700, err) == -1 ||
	    make_dir(ROOM_REAL, 0700, err) == -1)
		goto out;
	if (move_mount(
		tree, "", AT_FDCWD, ROOM_REAL, MOVE_MOUNT_F_EMPTY_PATH) == -1) {
		(void)fail(err, "mount on", ROOM_REAL);
		goto out;
	}
	/* root may set the kernel's own settings there, were it writable */
	if (mount_at("proc", "/proc", "proc",
		MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL,
		err) == -1 ||
	    own_dev(err) == -1 || without_devices(ROOM_REAL, err) == -1 ||
	    bound(err) == -1 || chdir("/") == -1)
		goto out;
	rc = 0;
out:
	(void)close(tree);
	return rc;
}

int
room_part(struct err *err)
{
	return umount2(ROOM_REAL, MNT_DETACH) == 0
	    ? 0
	    : fail(err, "take away", ROOM_REAL);
}

/* Root's, and in nobody else's hands. In a directory as /tmp, others can't
 * replace what is root's. */
static bool
is_roots(const struct stat *st)
{
	bool sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0;

	return st->st_uid == 0 &&
	    (sticky ||
		((st->st_mode & S_IWOTH) == 0 &&
		    ((st->st_mode & S_IWGRP) == 0 || st->st_gid == 0)));
}

int
room_trusts(const char *path, struct err *err)
{
	char real[PATH_MAX];
	struct stat st;

	if (realpath(path, real) == NULL)
		return fail(err, "look at", path);
	for (size_t n = strlen(real); n > 0; n = strlen(real)) {
		if (stat(real, &st) == -1)
			return fail(err, "look at", real);
		if (!is_roots(&st)) {
			err_set(err, ERR_INVALID,
			    "%s doesn't belong to root, or others may write to it (owner %u, mode %04o): the private copy would run as root what it says",
			    real, (unsigned)st.st_uid,
			    (unsigned)st.st_mode & 07777);
			return -1;
		}
		*strrchr(real, '/') = '\0';
	}
	return 0;
}

static int fill(const char *from, const char *to, bool deep, int depth,
    enum room_fate (*fate)(const char *name), struct err *err);

static int
keep_link(const char *from, const char *to, struct err *err)
{
	char target[PATH_LEN];
	ssize_t n = readlink(from, target, sizeof(target) - 1);

	if (n == -1)
		return fail(err, "read the link", from);
	target[n] = '\0';
	return symlink(target, to) == 0 ? 0 : fail(err, "make the link", to);
}

static int
same_owner(const char *path, const struct stat *st, struct err *err)
{
	return chown(path, st->st_uid, st->st_gid) == 0 &&
		chmod(path, st->st_mode & 07777) == 0
	    ? 0
	    : fail(err, "set the owner of", path);
}

/* One entry of a directory that is covered. */
static int
keep_entry(const char *from, const char *to, bool deep, int depth,
    enum room_fate fate, struct err *err)
{
	struct stat st;
	int fd;

	if (lstat(from, &st) == -1)
		return errno == ENOENT ? 0 : fail(err, "look at", from);
	if (S_ISLNK(st.st_mode))
		return keep_link(from, to, err);
	if (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode))
		return 0;
	if (S_ISDIR(st.st_mode)) {
		if (make_dir(to, 0700, err) == -1)
			return -1;
		if (fate == ROOM_EMPTIED)
			return same_owner(to, &st, err);
		if (!deep || depth >= DEPTH_MAX)
			return bind(from, to, err);
		return same_owner(to, &st, err) == 0
		    ? fill(from, to, deep, depth + 1, NULL, err)
		    : -1;
	}
	/* what is mounted can't be renamed over, or removed */
	if (deep && S_ISREG(st.st_mode) && st.st_size <= COPIED_SIZE_MAX)
		return room_copy(from, to, err);
	fd = open(to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd == -1)
		return fail(err, "make", to);
	(void)close(fd);
	return bind(from, to, err);
}

static int
fill(const char *from, const char *to, bool deep, int depth,
    enum room_fate (*fate)(const char *name), struct err *err)
{
	DIR *dir = opendir(from);
	const struct dirent *entry;
	int rc = 0;

	if (dir == NULL)
		return fail(err, "read the directory", from);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		char a[PATH_LEN], b[PATH_LEN];
		const char *name = entry->d_name;

		enum room_fate what = fate == NULL ? ROOM_KEPT : fate(name);

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    what == ROOM_LEFT_OUT)
			continue;
		if (snprintf(a, sizeof(a), "%s/%s", from, name) >= PATH_LEN ||
		    snprintf(b, sizeof(b), "%s/%s", to, name) >= PATH_LEN)
			continue;
		rc = keep_entry(a, b, deep, depth, what, err);
	}
	(void)closedir(dir);
	return rc;
}

int
room_cover(const char *path, enum room_keep keep,
    enum room_fate (*fate)(const char *name), struct err *err)
{
	static unsigned number;
	char own[64];
	struct stat st;

	if (stat(path, &st) == -1 || !S_ISDIR(st.st_mode))
		return fail(err, "look at the directory", path);
	(void)snprintf(own, sizeof(own), ROOM_DIR "/own/%u", ++number);
	if (make_dir(own, 0700, err) == -1 || same_owner(own, &st, err) == -1)
		return -1;
	if (keep != ROOM_EMPTY &&
	    fill(path, own, keep == ROOM_TREE, 0, fate, err) == -1)
		return -1;
	return bind(own, path, err);
}

/* 1: a file can be made there, 0: it can't, -1: there is no directory. */
static int
can_write(const char *path)
{
	char name[PATH_LEN];
	int fd;

	if (snprintf(name, sizeof(name), "%s/.popgate-stage", path) >= PATH_LEN)
		return 0;
	fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd == -1)
		return errno == ENOENT ? -1 : 0;
	(void)close(fd);
	(void)unlink(name);
	return 1;
}

int
room_writable(const char *path, struct err *err)
{
	char parent[PATH_LEN];
	char *slash;

	assert(*path == '/');
	switch (can_write(path)) {
	case 1:
		return 0;
	case 0:
		if (strcmp(path, "/") == 0)
			break;
		return room_cover(path, ROOM_ENTRIES, NULL, err);
	default:
		(void)snprintf(parent, sizeof(parent), "%s", path);
		slash = strrchr(parent, '/');
		if (slash == parent)
			break;
		*slash = '\0';
		return room_writable(parent, err) == 0
		    ? make_dir(path, 0755, err)
		    : -1;
	}
	err_set(err, ERR_INVALID,
	    "%s: no directory can be made at the root of a private copy", path);
	return -1;
}

static int
write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int
room_copy(const char *from, const char *to, struct err *err)
{
	char buf[4096];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, rc = -1;
	struct stat st;
	ssize_t n;

	if (in == -1 || fstat(in, &st) == -1) {
		(void)fail(err, "open", from);
		goto done;
	}
	out = open(to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (out == -1) {
		(void)fail(err, "make", to);
		goto done;
	}
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write_all(out, buf, (size_t)n) == -1)
			break;
	const struct timespec times[] = { st.st_atim, st.st_mtim };

	if (n != 0 || fchown(out, st.st_uid, st.st_gid) == -1 ||
	    fchmod(out, st.st_mode & 07777) == -1 ||
	    futimens(out, times) == -1) {
		(void)fail(err, "copy", from);
		goto done;
	}
	rc = 0;
done:
	if (in != -1)
		(void)close(in);
	if (out != -1)
		(void)close(out);
	return rc;
}

int
room_write(const char *path, const char *text, mode_t mode, struct err *err)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	int rc = 0;

	if (fd == -1 || write_all(fd, text, strlen(text)) == -1 ||
	    fchmod(fd, mode) == -1)
		rc = fail(err, "write", path);
	if (fd != -1)
		(void)close(fd);
	return rc;
}

/* Make the directory that a dangling link leads to, as /etc/resolv.conf is
 * one where /run is ours. */
static int
room_target(const char *path, struct err *err)
{
	char target[PATH_LEN], full[2 * PATH_LEN];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	char *slash;

	if (n == -1)
		return 0;
	target[n] = '\0';
	if (*target == '/')
		(void)snprintf(full, sizeof(full), "%s", target);
	else
		(void)snprintf(full, sizeof(full), "%.*s/%s",
		    (int)(strrchr(path, '/') - path), path, target);
	slash = strrchr(full, '/');
	if (slash == full)
		return 0;
	*slash = '\0';
	return room_writable(full, err);
}

int
room_file(const char *path, const char *text, mode_t mode, struct err *err)
{
	static unsigned number;
	char own[64], real[PATH_MAX];

	int fd;

	if (realpath(path, real) == NULL)
		return room_target(path, err) == 0
		    ? room_write(path, text, mode, err)
		    : -1;
	/* a file of ours, or one of the machine's, which is read-only */
	fd = open(real, O_WRONLY | O_CLOEXEC);
	if (fd != -1) {
		(void)close(fd);
		return room_write(real, text, mode, err);
	}
	(void)snprintf(own, sizeof(own), ROOM_DIR "/own/file-%u", ++number);
	return room_write(own, text, mode, err) == 0 ? bind(own, real, err)
						     : -1;
}

int
room_socket(const char *path, struct err *err)
{
	char real[PATH_LEN], dir[PATH_LEN];
	struct stat st;
	int fd;

	(void)snprintf(real, sizeof(real), ROOM_REAL "%.900s", path);
	(void)snprintf(
	    dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	if (stat(real, &st) == -1 || !S_ISSOCK(st.st_mode) ||
	    (stat(path, &st) == 0 && S_ISSOCK(st.st_mode)))
		return 0;
	if (room_writable(dir, err) == -1)
		return -1;
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd == -1)
		return fail(err, "make", path);
	(void)close(fd);
	return bind(real, path, err);
}

int
room_names(const char *path, struct err *err)
{
	return room_file(path,
	    "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n", 0644, err);
}

int
room_resolver(struct err *err)
{
	static const char path[] = "/etc/resolv.conf";
	struct stat st;

	/* where there is none, the resolver asks loopback */
	return lstat(path, &st) == 0 ? room_names(path, err) : 0;
}
