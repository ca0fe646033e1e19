/* SPDX-License-Identifier: ISC */
/* db - an SQLite file: open, migrate, prepare, and SQLite's errors as ours.
 * Only the files of store and audit include this: other code asks those. */
#ifndef POPGATE_DB_H
#define POPGATE_DB_H

#include <sqlite3.h>
#include <stdbool.h>

#include "common/db/db_watch.h"

struct err;

enum db_mode {
	DB_READ, /* never creates, never migrates */
	DB_WRITE, /* never creates; migrates */
	DB_CREATE /* creates and migrates */
};

/* One step: the text of sql/<name>-NNN.sql, for PRAGMA user_version NNN. */
struct db_migration {
	const char *sql;
};

/* Make an empty file at path, unless there is one. It gets mode 0640 and, when
 * root makes it, the owner and group of the file or directory like: SQLite's
 * -wal and -shm, which copy these, are right from the first moment. 0, or -1
 * with err. */
int db_create(const char *path, const char *like, struct err *err);

/* Open path and check or bring its user_version to n (the number of steps).
 *   busy_ms  how long a look-up or a transaction waits for a lock
 * A file made here gets mode 0640 and, when root makes it, the owner and
 * group of the directory that it is in. WAL and its index stay on disk when
 * the last writer leaves, so that readers without write permission can go on.
 * Returns 0, or -1 with ERR_VERSION (file newer than this program), ERR_BUSY,
 * ERR_CORRUPT or ERR_IO. Threads: the handle belongs to one at a time. */
int db_open(const char *path, enum db_mode mode, int busy_ms,
    const struct db_migration *steps, int n, sqlite3 **db_r, struct err *err);

/* Fill err from the last error of db. */
void db_err(sqlite3 *db, const char *what, struct err *err);

/* Prepare for long use. Returns 0 or -1 with err. */
int db_prepare(
    sqlite3 *db, const char *sql, sqlite3_stmt **stmt_r, struct err *err);

/* Run statements without results. Returns 0 or -1 with err. */
int db_exec(sqlite3 *db, const char *sql, struct err *err);

/* Step a statement that gives no row, and reset it. 0 or -1 with err. */
int db_run(sqlite3 *db, sqlite3_stmt *stmt, const char *what, struct err *err);
/* Step a statement that gives one number, and reset it. The number, which is
 * not negative; or -1 with err. what: what the number is, for err. */
int64_t db_step_number(
    sqlite3 *db, sqlite3_stmt *stmt, const char *what, struct err *err);
/* The same of a statement that is needed too seldom to stay prepared. */
int64_t db_number(sqlite3 *db, const char *sql, struct err *err);

/* Call w when a step takes long; w must live as long as db. */
void db_watch(sqlite3 *db, struct db_watch *w);

/* End a walk whose last sqlite3_step() gave rc: a row when the walk was left
 * early. Resets the statement. 0 or -1 with err. */
int db_walked(
    sqlite3 *db, sqlite3_stmt *stmt, int rc, const char *what, struct err *err);

/* Column text, "" for NULL. Valid until the next step. */
const char *db_text(sqlite3_stmt *stmt, int col);

#endif
