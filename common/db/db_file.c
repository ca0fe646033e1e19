/* SPDX-License-Identifier: ISC */
#include "common/db/db_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"

enum { WAL_HEADER = 32, WAL_SALT = 16, FRAME_HEADER = 24, FRAME_SALT = 8 };

/* SQLite's own descriptor. Never open and close the file ourselves: that
 * would drop the process's POSIX locks on it. */
static sqlite3_file *
wal_of(sqlite3 *db)
{
	sqlite3_file *file = NULL;

	if (sqlite3_file_control(
		db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK ||
	    file == NULL || file->pMethods == NULL)
		return NULL;
	return file;
}

static int
stat_of(const char *path, const char *suffix, struct stat *st)
{
	char name[4096];

	(void)snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, st);
}

static int
page_size(sqlite3 *db)
{
	sqlite3_stmt *stmt = NULL;
	int n = 0;

	if (sqlite3_prepare_v2(db, "PRAGMA page_size", -1, &stmt, NULL) ==
		SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		n = sqlite3_column_int(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return n;
}

int
db_file_note(sqlite3 *db, const char *path, struct db_file *f, struct err *err)
{
	struct stat st, wal, shm;
	int moved = 0;

	(void)sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
	if (moved || stat(path, &st) == -1 ||
	    stat_of(path, "-wal", &wal) == -1 ||
	    stat_of(path, "-shm", &shm) == -1) {
		err_set(err, ERR_IO,
		    "%s, its -wal or its -shm was removed or replaced while it was opened",
		    path);
		return -1;
	}
	*f = (struct db_file){ .path = path,
		.dev = st.st_dev,
		.ino = st.st_ino,
		.wal_ino = wal.st_ino,
		.shm_ino = shm.st_ino,
		.size = st.st_size,
		.written_at = st.st_mtim,
		.page_size = page_size(db) };
	return 0;
}

bool
db_file_same(const struct db_file *now, const struct db_file *before)
{
	return now->dev == before->dev && now->ino == before->ino &&
	    now->wal_ino == before->wal_ino &&
	    now->shm_ino == before->shm_ino && now->size >= before->size;
}

static sqlite3_int64
wal_size(const struct db_file *f, int frames)
{
	return WAL_HEADER +
	    (sqlite3_int64)frames * (FRAME_HEADER + f->page_size);
}

/* The descriptor's file holds every frame that we wrote. */
static bool
wal_whole(sqlite3 *db, const struct db_file *f)
{
	sqlite3_file *wal = wal_of(db);
	sqlite3_int64 size = 0;

	return f->wal.frames == 0 ||
	    (wal != NULL && wal->pMethods->xFileSize(wal, &size) == SQLITE_OK &&
		size >= wal_size(f, f->wal.frames));
}

static bool
salt_at(
    sqlite3 *db, sqlite3_int64 at, unsigned char salt[WAL_SALT_SIZE])
{
	sqlite3_file *wal = wal_of(db);

	return wal != NULL &&
	    wal->pMethods->xRead(wal, salt, WAL_SALT_SIZE, at) == SQLITE_OK;
}

void
db_file_committed(sqlite3 *db, struct db_file *f, int frames)
{
	f->wal.frames = frames;
	if (!salt_at(db, WAL_SALT, f->wal.salt))
		memset(f->wal.salt, 0, sizeof(f->wal.salt));
}

/* Would a reader take our newest frame for one of this -wal? It doesn't when
 * somebody wrote another -wal into it. */
static bool
wal_ours(sqlite3 *db, const struct db_file *f)
{
	unsigned char begun[WAL_SALT_SIZE], newest[WAL_SALT_SIZE];

	return f->wal.frames == 0 ||
	    (salt_at(db, WAL_SALT, begun) &&
		salt_at(db, wal_size(f, f->wal.frames - 1) + FRAME_SALT,
		    newest) &&
		memcmp(begun, f->wal.salt, sizeof(begun)) == 0 &&
		memcmp(newest, f->wal.salt, sizeof(newest)) == 0);
}

enum db_seen
db_file_look(
    sqlite3 *db, const struct db_file *f, bool moving, const char **what_r)
{
	struct stat st, wal, shm;
	bool wal_there, wal_same, shm_same;

	if (stat(f->path, &st) == -1) {
		*what_r = "was removed";
		return DB_GONE;
	}
	if (st.st_dev != f->dev || st.st_ino != f->ino) {
		*what_r = "was replaced by another file";
		return DB_GONE;
	}
	if (st.st_size < f->size) {
		*what_r = "was truncated";
		return DB_GONE;
	}
	/* before the -wal, which a foreign checkpoint may have emptied */
	*what_r = "was written by another program";
	if (!moving &&
	    (st.st_size != f->size ||
		st.st_mtim.tv_sec != f->written_at.tv_sec ||
		st.st_mtim.tv_nsec != f->written_at.tv_nsec))
		return DB_WRITTEN;
	if (!wal_whole(db, f)) {
		*what_r = "lost its -wal, which was truncated";
		return DB_GONE;
	}
	*what_r = "had its -wal written by another program";
	if (!wal_ours(db, f))
		return DB_WRITTEN;
	wal_there = stat_of(f->path, "-wal", &wal) == 0;
	wal_same = wal_there && wal.st_ino == f->wal_ino;
	shm_same =
	    stat_of(f->path, "-shm", &shm) == 0 && shm.st_ino == f->shm_ino;
	*what_r = "lost its -wal, which was removed or replaced";
	/* without a common index somebody else may have begun another one */
	if (!wal_same)
		return shm_same || !wal_there || wal.st_size == 0 ? DB_WAL_GONE
								  : DB_GONE;
	*what_r = "lost its -shm, which was removed or replaced";
	if (!shm_same)
		return DB_SHM_GONE;
	return DB_SAME;
}

int
db_file_sync(sqlite3 *db, struct err *err)
{
	sqlite3_file *wal = wal_of(db);
	int rc = wal == NULL ? SQLITE_OK
			     : wal->pMethods->xSync(wal,
				   SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);

	if (rc == SQLITE_OK)
		return 0;
	err_set(err, ERR_IO, "%s-wal: can't be brought to the disk: %s",
	    sqlite3_db_filename(db, "main"), sqlite3_errstr(rc));
	return -1;
}
