/* SPDX-License-Identifier: ISC */
/* db_rights - for root: let SQLite open, make and remove files with the rights
 * of the user that the database belongs to.
 *
 * A database's directory is that user's, or writable by that user. SQLite goes
 * by names there, and believes what it finds: it removes whatever file a
 * journal names as its super-journal, and gives files owner and mode of the
 * database. As root it would do so to any file of the system. */
#ifndef POPGATE_DB_RIGHTS_H
#define POPGATE_DB_RIGHTS_H

#include <stdbool.h>

struct err;

/* Find out by which VFS to open the database at path.
 *   write  it will be written; for reading only, a place that its owner can't
 *          reach (a copy below /root) is read as root
 *   vfs_r  for sqlite3_open_v2(); NULL: the usual one
 * 0, or -1 with err. Threads: any. */
int
db_rights(const char *path, bool write, const char **vfs_r, struct err *err);

#endif
