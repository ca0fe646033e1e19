/* SPDX-License-Identifier: ISC */
/* db_file - whether what an open database writes is what the next reader finds
 * under its name. Somebody may remove, replace, truncate or overwrite the file
 * or its -wal while it is open; SQLite doesn't notice and writes on into what
 * nobody can read. Included by audit_table.h only. */
#ifndef POPGATE_DB_FILE_H
#define POPGATE_DB_FILE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

struct err;

enum db_seen {
	DB_SAME, /* as db_file_note() saw it */
	DB_SHM_GONE, /* only the index: open it again, nothing is lost */
	DB_WAL_GONE, /* no longer under its name; we still have it */
	DB_WRITTEN, /* somebody else wrote the file: perhaps a checkpoint */
	DB_GONE /* removed, replaced or shorter: what we wrote is lost */
};

/* The state of the files when it was certain that they were ours. */
struct db_file {
	const char *path; /* borrowed */
	dev_t dev;
	ino_t ino, wal_ino, shm_ino;
	off_t size;
	struct timespec written_at;
	int frames; /* of the -wal, after our last commit */
	int page_size;
};

/* Remember the files of a database in WAL mode that was just opened, or that
 * we just checkpointed. 0, or -1 with err. */
int
db_file_note(sqlite3 *db, const char *path, struct db_file *f, struct err *err);

/* Are these the same files, and not shorter? */
bool db_file_same(const struct db_file *now, const struct db_file *before);

/* How they are now; *what_r names what happened (a constant). */
enum db_seen
db_file_look(sqlite3 *db, const struct db_file *f, const char **what_r);

/* Bring all that was committed to the disk. 0, or -1 with err. */
int db_file_sync(sqlite3 *db, struct err *err);

#endif
