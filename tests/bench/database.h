/* SPDX-License-Identifier: ISC */
/* database - what mklogins and mkdecisions share: a database that is filled
 * fast, without a journal, because a half-made file is thrown away. Whatever
 * fails ends the program. */
#ifndef POPGATE_BENCH_DATABASE_H
#define POPGATE_BENCH_DATABASE_H

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static sqlite3 *db;

static inline void
check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(db));
	exit(EX_IOERR);
}

static inline void
run(const char *sql)
{
	check(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static inline sqlite3_stmt *
prepare(const char *sql)
{
	sqlite3_stmt *stmt;

	check(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, sql);
	return stmt;
}

/* Begin; the file and its tables are there. */
static inline void
begin(const char *path)
{
	check(sqlite3_open(path, &db) == SQLITE_OK, path);
	run("PRAGMA synchronous = OFF");
	run("PRAGMA journal_mode = OFF");
	run("PRAGMA cache_size = -262144");
	run("BEGIN");
}

static inline void
end(void)
{
	run("COMMIT");
	run("PRAGMA journal_mode = WAL");
	check(sqlite3_close(db) == SQLITE_OK, "close");
}

#endif
