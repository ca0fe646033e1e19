/* SPDX-License-Identifier: ISC */
#include "common/db/db_rights.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/guarded.h"

enum { OWNERS_MAX = 16, GROUPS_MAX = 128, PATH_LEN = 2048 };

/* A VFS for each owner of databases: SQLite gives its VFS the name of a file,
 * and not the database that the file belongs to. */
struct owner {
	sqlite3_vfs vfs; /* first: SQLite gives us a pointer to it */
	sqlite3_vfs *real;
	sqlite3_io_methods io; /* of database files */
	const sqlite3_io_methods *real_io; /* NULL: none was opened yet */
	uid_t uid;
	gid_t gid;
	char name[48];
};

static struct mutex mtx = MUTEX_INITIALIZER;
static struct owner owners[OWNERS_MAX]; /* guarded by mtx until registered */
static int n_owners GUARDED_BY(mtx);

/* --- of this thread, for a moment --- */

struct was {
	int n;
	gid_t groups[GROUPS_MAX];
};

/* setgroups(2) of this thread alone: the C library's function changes all
 * threads.
 */
static int
set_groups(int n, const gid_t *groups)
{
#ifdef SYS_setgroups32
	return (int)syscall(SYS_setgroups32, n, groups);
#else
	return (int)syscall(SYS_setgroups, n, groups);
#endif
}

static void
leave(const struct was *was)
{
	(void)setfsuid(geteuid());
	(void)setfsgid(getegid());
	(void)set_groups(was->n, was->groups);
}

static bool
enter(const struct owner *o, struct was *was)
{
	was->n = getgroups(GROUPS_MAX, was->groups);
	if (was->n == -1 || set_groups(1, &o->gid) == -1)
		return false;
	(void)setfsgid(o->gid);
	(void)setfsuid(o->uid);
	/* they return what was in force before */
	if ((uid_t)setfsuid((uid_t)-1) == o->uid &&
	    (gid_t)setfsgid((gid_t)-1) == o->gid)
		return true;
	leave(was);
	return false;
}

/* --- the VFS --- */

static struct owner *
owner_of_file(sqlite3_file *file)
{
	return (struct owner *)(void *)((char *)(uintptr_t)file->pMethods -
	    offsetof(struct owner, io));
}

/* The -shm. */
static int
on_shm_map(
    sqlite3_file *file, int page, int size, int extend, void volatile **p)
{
	struct owner *o = owner_of_file(file);
	struct was was;

	if (!enter(o, &was))
		return SQLITE_PERM;
	int rc = o->real_io->xShmMap(file, page, size, extend, p);

	leave(&was);
	return rc;
}

/* Take the methods of a database file over. */
static int
adopt(struct owner *o, sqlite3_file *file)
{
	mutex_lock(&mtx);
	if (o->real_io == NULL) {
		o->real_io = file->pMethods;
		o->io = *file->pMethods;
		o->io.xShmMap = on_shm_map;
	}
	bool known = o->real_io == file->pMethods;

	mutex_unlock(&mtx);
	if (known) {
		file->pMethods = &o->io;
		return SQLITE_OK;
	}
	(void)file->pMethods->xClose(file);
	file->pMethods = NULL;
	return SQLITE_CANTOPEN;
}

static int
on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
    int *flags_r)
{
	struct owner *o = (struct owner *)vfs;
	struct was was;

	file->pMethods = NULL;
	if (!enter(o, &was))
		return SQLITE_PERM;
	int rc = o->real->xOpen(o->real, name, file, flags, flags_r);

	leave(&was);
	if (rc == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB) != 0)
		rc = adopt(o, file);
	return rc;
}

static int
on_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	struct owner *o = (struct owner *)vfs;
	struct was was;

	if (!enter(o, &was))
		return SQLITE_PERM;
	int rc = o->real->xDelete(o->real, name, sync_dir);

	leave(&was);
	return rc;
}

/* SQLite only looks here, and sees what root sees. */
static int
on_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
	const struct owner *o = (const struct owner *)vfs;

	return o->real->xAccess(o->real, name, flags, result);
}

static int
on_full_name(sqlite3_vfs *vfs, const char *name, int n, char *full)
{
	const struct owner *o = (const struct owner *)vfs;

	return o->real->xFullPathname(o->real, name, n, full);
}

/* --- whose --- */

/* Find the user with whose rights the database is to be written: root (0) only
 * where nobody else may write. dir_r has PATH_LEN bytes. False: unknown. */
static bool
find_owner(const char *path, char *dir_r, struct stat *owner_r)
{
	char copy[PATH_LEN];
	struct stat st, in;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	(void)snprintf(dir_r, PATH_LEN, "%s", dirname(copy));
	if (stat(dir_r, &in) == -1)
		return false;
	*owner_r = in;
	if (in.st_uid == 0 && (in.st_mode & 022) == 0)
		return true;
	/* one of root's may be a link that was put there */
	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid != 0)
		*owner_r = st;
	return true;
}

/* SQLite goes to where a link of root's leads. */
static bool
find_real_owner(const char *path, char *dir_r, struct stat *owner_r)
{
	if (!find_owner(path, dir_r, owner_r) || owner_r->st_uid != 0)
		return owner_r->st_uid != 0;
	char *real = realpath(path, NULL);
	bool found = real != NULL && find_owner(real, dir_r, owner_r);

	free(real);
	return found && owner_r->st_uid != 0;
}

static bool
can_reach(const struct owner *o, const char *dir)
{
	struct was was;

	if (!enter(o, &was))
		return true; /* it will be said when the file is opened */
	int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = at == -1 ? -1 : openat(at, ".", O_PATH | O_CLOEXEC);

	leave(&was);
	if (at != -1)
		(void)close(at);
	if (fd != -1)
		(void)close(fd);
	return fd != -1;
}

static struct owner *
make_owner(uid_t uid, gid_t gid) REQUIRES(mtx)
{
	struct owner *o = &owners[n_owners];
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);

	if (n_owners == OWNERS_MAX || real == NULL)
		return NULL;
	o->real = real;
	o->uid = uid;
	o->gid = gid;
	(void)snprintf(o->name, sizeof(o->name), "popgate-%lu-%lu",
	    (unsigned long)uid, (unsigned long)gid);
	o->vfs = *real;
	o->vfs.pNext = NULL;
	o->vfs.zName = o->name;
	o->vfs.xOpen = on_open;
	o->vfs.xDelete = on_delete;
	o->vfs.xAccess = on_access;
	o->vfs.xFullPathname = on_full_name;
	if (sqlite3_vfs_register(&o->vfs, 0) != SQLITE_OK)
		return NULL;
	n_owners++;
	return o;
}

static struct owner *
take_owner(uid_t uid, gid_t gid)
{
	struct owner *o = NULL;

	mutex_lock(&mtx);
	for (int i = 0; i < n_owners && o == NULL; i++)
		if (owners[i].uid == uid && owners[i].gid == gid)
			o = &owners[i];
	if (o == NULL)
		o = make_owner(uid, gid);
	mutex_unlock(&mtx);
	return o;
}

int
db_rights(const char *path, bool write, const char **vfs_r, struct err *err)
{
	char dir[PATH_LEN];
	struct stat st = { .st_uid = 0 };

	*vfs_r = NULL;
	/* SQLite has better words for a directory that isn't there */
	if (geteuid() != 0 || !find_real_owner(path, dir, &st))
		return 0;
	const struct owner *o = take_owner(st.st_uid, st.st_gid);

	if (o == NULL) {
		err_set(
		    err, ERR_NOMEM, "%s: databases of too many users", path);
		return -1;
	}
	if (can_reach(o, dir)) {
		*vfs_r = o->name;
		return 0;
	}
	if (!write)
		return 0;
	err_set(err, ERR_IO,
	    "%s: belongs to user %lu, who may not enter %s: root writes a database with the rights of its owner; give it a directory that its owner can reach",
	    path, (unsigned long)st.st_uid, dir);
	return -1;
}
