/* SPDX-License-Identifier: ISC */
#include "tests/proof/disk.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES = 16, SECTOR = 512, NAME = 200 };

/* A write since the file was synced. data NULL: truncated to at. */
struct op {
	size_t at, n;
	unsigned char *data;
	struct op *next;
};

/* A file, under whatever name. It lives until the power returns: a handle may
 * outlive its name. */
struct inode {
	unsigned char *data; /* on the disk */
	size_t n;
	struct op *first, *last;
	struct inode *next; /* of all */
};

struct name {
	char text[NAME]; /* "" none */
	struct inode *now, *on_disk; /* NULL: there is no such file */
};

/* A file that SQLite has open; SQLite's own follows. */
struct handle {
	sqlite3_file file; /* first */
	struct inode *inode; /* NULL: not looked after */
	bool syncs_names;
	sqlite3_file real[];
};

bool disk_lies;

static pthread_mutex_t mtx = PTHREAD_MUTEX_INITIALIZER;
/* all guarded by mtx */
static sqlite3_vfs vfs, *real_vfs;
static const char *dir;
static struct name names[FILES];
static struct inode *inodes;
static struct {
	unsigned char *data;
	size_t n;
	bool there;
} survives[FILES]; /* by name, once the power is off */
static uint64_t state;
static unsigned done, last;
static bool ends, off, power;

static unsigned
chance(unsigned n)
{
	state = state * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (unsigned)(state >> 33) % n;
}

unsigned
disk_chance(unsigned n)
{
	(void)pthread_mutex_lock(&mtx);
	unsigned drawn = chance(n);

	(void)pthread_mutex_unlock(&mtx);
	return drawn;
}

static void *
not_null(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* --- what there is --- */

static void
forget(struct inode *i)
{
	while (i->first != NULL) {
		struct op *op = i->first;

		i->first = op->next;
		free(op->data);
		free(op);
	}
	i->last = NULL;
}

static void
forget_all(void)
{
	while (inodes != NULL) {
		struct inode *i = inodes;

		inodes = i->next;
		forget(i);
		free(i->data);
		free(i);
	}
	for (int k = 0; k < FILES; k++)
		names[k].now = names[k].on_disk = NULL;
}

static struct inode *
inode_new(void)
{
	struct inode *i = not_null(calloc(1, sizeof(*i)));

	i->next = inodes;
	return inodes = i;
}

static struct name *
find(const char *path)
{
	size_t len = strlen(dir);
	struct name *empty = NULL;

	if (path == NULL || strncmp(path, dir, len) != 0 || path[len] != '/')
		return NULL;
	path += len + 1;
	assert(strlen(path) < NAME);
	for (int i = 0; i < FILES; i++) {
		if (strcmp(names[i].text, path) == 0)
			return &names[i];
		if (names[i].text[0] == '\0' && empty == NULL)
			empty = &names[i];
	}
	assert(empty != NULL);
	(void)snprintf(empty->text, NAME, "%s", path);
	return empty;
}

/* The bytes of a file that grew and weren't written are zeros. */
static void
resize(struct inode *i, size_t n)
{
	if (n > i->n) {
		i->data = not_null(realloc(i->data, n));
		memset(i->data + i->n, 0, n - i->n);
	}
	i->n = n;
}

static void
note(struct inode *i, const void *data, size_t n, size_t at)
{
	struct op *op = not_null(calloc(1, sizeof(*op)));

	*op = (struct op){ .at = at, .n = n };
	if (data != NULL)
		op->data = memcpy(not_null(malloc(n + 1)), data, n);
	*(i->last == NULL ? &i->first : &i->last->next) = op;
	i->last = op;
}

static void
apply(struct inode *i, const struct op *op, size_t from, size_t n)
{
	if (op->data == NULL) {
		resize(i, op->at);
		return;
	}
	if (op->at + from + n > i->n)
		resize(i, op->at + from + n);
	memcpy(i->data + op->at + from, op->data + from, n);
}

static void
sync_file(struct inode *i)
{
	for (const struct op *op = i->first; op != NULL; op = op->next)
		apply(i, op, 0, op->n);
	forget(i);
}

static void
sync_names(void)
{
	for (int i = 0; i < FILES; i++)
		names[i].on_disk = names[i].now;
}

/* --- the power goes --- */

enum loss { NONE, EVERYTHING, SOME, FIRST, TORN, LOSSES };

/* A write that was under way: by sectors of the file. */
static void
tear(struct inode *i, const struct op *op)
{
	for (size_t from = 0, n; from < op->n; from += n) {
		n = SECTOR - (op->at + from) % SECTOR;
		if (n > op->n - from)
			n = op->n - from;
		switch (chance(5)) {
		case 0:
		case 1:
			apply(i, op, from, n);
			break;
		case 2:
			for (size_t k = from; k < from + n; k++)
				op->data[k] = (unsigned char)chance(256);
			apply(i, op, from, n);
			break;
		default:
			break;
		}
	}
}

static void
lose(struct inode *i, enum loss loss)
{
	unsigned keep = 0, n = 0;

	for (const struct op *op = i->first; op != NULL; op = op->next)
		n++;
	keep = chance(n + 1);
	n = 0;
	for (const struct op *op = i->first; op != NULL; op = op->next, n++) {
		if (loss == TORN && op->data != NULL)
			tear(i, op);
		else if (loss == NONE || (loss == FIRST && n < keep) ||
		    (loss != EVERYTHING && loss != FIRST && chance(2) == 0))
			apply(i, op, 0, op->n);
	}
	forget(i);
}

static void
power_goes(void)
{
	enum loss loss = (enum loss)chance(LOSSES);

	for (int k = 0; k < FILES; k++) {
		struct name *name = &names[k];
		bool new_name =
		    loss == NONE || (loss != EVERYTHING && chance(2) == 0);
		struct inode *i = new_name ? name->now : name->on_disk;

		survives[k].there = i != NULL;
		if (i == NULL)
			continue;
		/* what is in a file needn't go with its name */
		lose(i, chance(4) == 0 ? (enum loss)chance(LOSSES) : loss);
		survives[k].n = i->n;
		survives[k].data = not_null(malloc(i->n + 1));
		if (i->n > 0)
			memcpy(survives[k].data, i->data, i->n);
	}
}

/* An operation begins. False: everything is off. Counted with the mutex. */
static bool
goes_on(void)
{
	if (!off && ends && done >= last) {
		off = true;
		if (power)
			power_goes();
	}
	done++;
	return !off;
}

/* --- SQLite's view of a file --- */

#define REAL(file) (((struct handle *)(file))->real)
#define REAL_DO(file, method, ...) \
	REAL(file)->pMethods->method(REAL(file), __VA_ARGS__)

static int
file_close(sqlite3_file *f)
{
	return REAL(f)->pMethods->xClose(REAL(f));
}

static int
file_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at)
{
	return REAL_DO(f, xRead, data, n, at);
}

static int
file_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
	struct handle *h = (struct handle *)f;
	int rc;

	if (h->inode == NULL)
		return REAL_DO(f, xWrite, data, n, at);
	(void)pthread_mutex_lock(&mtx);
	/* the one during which the power goes may have come to the disk */
	if (!off)
		note(h->inode, data, (size_t)n, (size_t)at);
	rc = goes_on() ? REAL_DO(f, xWrite, data, n, at) : SQLITE_IOERR_WRITE;
	(void)pthread_mutex_unlock(&mtx);
	return rc;
}

static int
file_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	struct handle *h = (struct handle *)f;
	int rc;

	if (h->inode == NULL)
		return REAL_DO(f, xTruncate, n);
	(void)pthread_mutex_lock(&mtx);
	if (!off)
		note(h->inode, NULL, 0, (size_t)n);
	rc = goes_on() ? REAL_DO(f, xTruncate, n) : SQLITE_IOERR_TRUNCATE;
	(void)pthread_mutex_unlock(&mtx);
	return rc;
}

/* The first sync of a new journal or -wal syncs the directory, as unixSync()
 * does. */
static int
file_sync(sqlite3_file *f, int flags)
{
	struct handle *h = (struct handle *)f;
	int rc = SQLITE_OK;

	(void)flags;
	if (h->inode == NULL)
		return SQLITE_OK;
	(void)pthread_mutex_lock(&mtx);
	if (!goes_on())
		rc = SQLITE_IOERR_FSYNC;
	else if (!disk_lies) {
		sync_file(h->inode);
		if (h->syncs_names)
			sync_names();
		h->syncs_names = false;
	}
	(void)pthread_mutex_unlock(&mtx);
	return rc;
}

static int
file_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return REAL_DO(f, xFileSize, n);
}

static int
file_lock(sqlite3_file *f, int lock)
{
	return REAL_DO(f, xLock, lock);
}

static int
file_unlock(sqlite3_file *f, int lock)
{
	return REAL_DO(f, xUnlock, lock);
}

static int
file_check_lock(sqlite3_file *f, int *out)
{
	return REAL_DO(f, xCheckReservedLock, out);
}

static int
file_control(sqlite3_file *f, int op, void *arg)
{
	return REAL_DO(f, xFileControl, op, arg);
}

static int
file_sector(sqlite3_file *f)
{
	return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int
file_device(sqlite3_file *f)
{
	return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

static int
shm_map(sqlite3_file *f, int page, int n, int more, void volatile **p)
{
	return REAL_DO(f, xShmMap, page, n, more, p);
}

static int
shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return REAL_DO(f, xShmLock, at, n, flags);
}

static void
shm_barrier(sqlite3_file *f)
{
	REAL(f)->pMethods->xShmBarrier(REAL(f));
}

static int
shm_unmap(sqlite3_file *f, int delete)
{
	return REAL_DO(f, xShmUnmap, delete);
}

/* Version 2: the file isn't mapped, each write comes through here. */
static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_check_lock,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_device,
	.xShmMap = shm_map,
	.xShmLock = shm_lock,
	.xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap,
};

/* --- and of the directory --- */

static int
vfs_open(
    sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags, int *flags_r)
{
	struct handle *h = (struct handle *)f;
	int rc = SQLITE_OK;

	(void)v;
	*h = (struct handle){ .inode = NULL };
	(void)pthread_mutex_lock(&mtx);
	struct name *name = find(path);

	/* The program itself may have made an empty one. */
	bool there = name != NULL && access(path, F_OK) == 0;

	if (name != NULL && !there && (flags & SQLITE_OPEN_CREATE) != 0 &&
	    !goes_on())
		rc = SQLITE_CANTOPEN;
	if (rc == SQLITE_OK)
		rc = real_vfs->xOpen(real_vfs, path, h->real, flags, flags_r);
	if (rc == SQLITE_OK) {
		if (name != NULL && (!there || name->now == NULL))
			name->now = inode_new();
		h->inode = name == NULL ? NULL : name->now;
		h->syncs_names = (flags & SQLITE_OPEN_CREATE) != 0 &&
		    (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
	}
	(void)pthread_mutex_unlock(&mtx);
	h->file.pMethods = h->real->pMethods == NULL ? NULL : &methods;
	return rc;
}

static int
vfs_delete(sqlite3_vfs *v, const char *path, int sync_dir)
{
	int rc;

	(void)v;
	(void)pthread_mutex_lock(&mtx);
	struct name *name = find(path);

	rc = name == NULL || goes_on() ? real_vfs->xDelete(real_vfs, path, 0)
				       : SQLITE_IOERR_DELETE;
	if (rc == SQLITE_OK && name != NULL) {
		name->now = NULL;
		if (sync_dir != 0 && !disk_lies)
			sync_names();
	}
	(void)pthread_mutex_unlock(&mtx);
	return rc;
}

static int
vfs_access(sqlite3_vfs *v, const char *path, int flags, int *out)
{
	(void)v;
	return real_vfs->xAccess(real_vfs, path, flags, out);
}

static int
vfs_full(sqlite3_vfs *v, const char *path, int n, char *out)
{
	(void)v;
	return real_vfs->xFullPathname(real_vfs, path, n, out);
}

static void
install(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	vfs = *real_vfs;
	vfs.pNext = NULL;
	vfs.zName = "disk";
	vfs.szOsFile = (int)sizeof(struct handle) + real_vfs->szOsFile;
	vfs.xOpen = vfs_open;
	vfs.xDelete = vfs_delete;
	vfs.xAccess = vfs_access;
	vfs.xFullPathname = vfs_full;
	if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
		abort();
}

/* --- lives --- */

void
disk_begin(const char *path, uint64_t seed)
{
	if (real_vfs == NULL)
		install();
	forget_all();
	memset(names, 0, sizeof(names));
	dir = path;
	state = seed * UINT64_C(0x9e3779b97f4a7c15);
	(void)chance(2);
	ends = off = false;
	done = 0;
}

static void
end_after(unsigned operations, bool by_power)
{
	(void)pthread_mutex_lock(&mtx);
	power = by_power;
	last = done + operations;
	ends = true;
	if (operations == 0)
		(void)goes_on();
	(void)pthread_mutex_unlock(&mtx);
}

void
disk_power(unsigned operations)
{
	end_after(operations, true);
}

void
disk_process(unsigned operations)
{
	end_after(operations, false);
}

bool
disk_is_off(void)
{
	return !disk_answer(NULL, NULL);
}

bool
disk_ended_by_power(void)
{
	(void)pthread_mutex_lock(&mtx);
	bool by_power = off && power;

	(void)pthread_mutex_unlock(&mtx);
	return by_power;
}

bool
disk_answer(void (*say)(void *arg), void *arg)
{
	(void)pthread_mutex_lock(&mtx);
	bool heard = !off;

	if (heard && say != NULL)
		say(arg);
	(void)pthread_mutex_unlock(&mtx);
	return heard;
}

unsigned
disk_operations(void)
{
	(void)pthread_mutex_lock(&mtx);
	unsigned n = done;

	done = 0;
	(void)pthread_mutex_unlock(&mtx);
	return n;
}

static void
path_of(const char *name, const char *suffix, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%.200s/%.199s%s", dir, name, suffix);
}

static void
write_file(const char *path, const void *data, size_t n)
{
	FILE *out = not_null(fopen(path, "w"));

	if (fwrite(data, 1, n, out) != n || fclose(out) != 0)
		abort();
}

/* The index of a -wal is memory: whatever is there now. */
static void
return_shm(const char *name)
{
	static unsigned char junk[32768];
	char path[500];

	path_of(name, "-shm", path, sizeof(path));
	if (access(path, F_OK) == -1)
		return;
	if (chance(2) == 0)
		(void)unlink(path);
	else if (chance(2) == 0) {
		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = (unsigned char)chance(256);
		write_file(path, junk, sizeof(junk));
	}
}

static void
return_files(void)
{
	char path[500];

	forget_all();
	for (int i = 0; i < FILES; i++) {
		struct name *name = &names[i];

		if (name->text[0] == '\0')
			continue;
		path_of(name->text, "", path, sizeof(path));
		(void)unlink(path);
		return_shm(name->text);
		if (!survives[i].there)
			continue;
		write_file(path, survives[i].data, survives[i].n);
		name->now = name->on_disk = inode_new();
		name->now->data = survives[i].data;
		name->now->n = survives[i].n;
		survives[i].data = NULL;
	}
}

void
disk_return(void)
{
	assert(off);
	if (power)
		return_files();
	off = ends = power = false;
	done = 0;
}
