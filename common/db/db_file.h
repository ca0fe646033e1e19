/* SPDX-License-Identifier: ISC */
/* db_file - whether what an open database writes is what the next reader finds
 * under its name. Somebody may remove, replace, truncate or overwrite the file
 * or its -wal while it is open; SQLite doesn't notice and writes on into what
 * nobody can read. Included by audit_table.h and audit_aside.h only. */
#ifndef POPGATE_DB_FILE_H
#define POPGATE_DB_FILE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

struct err;

enum { WAL_SALT_SIZE = 8 };

enum db_seen {
	DB_SAME, /* as db_file_note() saw it */
	DB_SHM_GONE, /* only the index: open it again, nothing is lost */
	DB_WAL_GONE, /* no longer under its name; we still have it */
	DB_WRITTEN, /* somebody else wrote the file or its -wal: perhaps a
		     * checkpoint */
	DB_GONE /* removed, replaced or shorter: what we wrote is lost */
};

/* The state of the files when it was certain that they were ours. */
struct db_file {
	const char *path; /* borrowed */
	dev_t dev;
	ino_t ino, wal_ino, shm_ino;
	off_t size;
	struct timespec written_at;
	int page_size;
	struct db_wal {
		int frames; /* after our last commit; 0: there was none */
		/* that SQLite gave it, and each of its frames, when it began
		 * it */
		unsigned char salt[WAL_SALT_SIZE];
	} wal;
};

/* Remember the files of a database in WAL mode that was just opened, or that
 * we just checkpointed. 0, or -1 with err. */
int
db_file_note(sqlite3 *db, const char *path, struct db_file *f, struct err *err);

/* Remember the -wal after a commit of ours. */
void db_file_committed(sqlite3 *db, struct db_file *f, int frames);

/* Are these the same files, and not shorter? */
bool db_file_same(const struct db_file *now, const struct db_file *before);

/* How they are now; *what_r names what happened (a constant).
 *   moving  another connection of ours writes the file, which may have grown:
 *           what others write is not noticed then */
enum db_seen db_file_look(
    sqlite3 *db, const struct db_file *f, bool moving, const char **what_r);

/* Bring all that was committed to the disk. 0, or -1 with err. */
int db_file_sync(sqlite3 *db, struct err *err);

#endif
