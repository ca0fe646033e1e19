/* SPDX-License-Identifier: ISC */
/* power - what the tests share that play lives of a program between one loss of
 * power and the next (tests/proof/disk.h). A test is n worlds, each of a seed:
 * POPGATE_SEED and POPGATE_POWER say where to begin and how many. */
#ifndef POPGATE_POWER_H
#define POPGATE_POWER_H

#include <dirent.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "tests/proof/disk.h"
#include "tests/unit/unit.h"

static char world[64], copy[80]; /* directories */

static inline void
power_empty(const char *path)
{
	const struct dirent *e;
	DIR *d = opendir(path);

	while (d != NULL && (e = readdir(d)) != NULL)
		(void)unlink(unit_path(path, e->d_name));
	if (d != NULL)
		(void)closedir(d);
}

/* The directories, in memory: the disk is the test's. */
static inline void
power_begin(void)
{
	(void)snprintf(world, sizeof(world), "%s", unit_memory_dir());
	(void)snprintf(copy, sizeof(copy), "%s-copy", world);
	assert_int_equal(mkdir(copy, 0700), 0);
}

static inline void
power_end(void)
{
	power_empty(world);
	power_empty(copy);
	assert_int_equal(rmdir(world) | rmdir(copy), 0);
}

static inline void
power_copy(const char *name)
{
	static char data[65536];
	FILE *from = fopen(unit_path(world, name), "r"), *to;
	size_t n;

	(void)unlink(unit_path(copy, name));
	if (from == NULL)
		return;
	to = fopen(unit_path(copy, name), "w");
	assert_non_null(to);
	while ((n = fread(data, 1, sizeof(data), from)) > 0)
		assert_int_equal(fwrite(data, 1, n, to), n);
	assert_int_equal(fclose(from) | fclose(to), 0);
}

/* A database as the next program finds it: a copy, so that this one still has
 * to mend what the loss of power left. It must be sound. NULL: there is none,
 * or an empty one. */
static inline sqlite3 *
power_look(const char *name)
{
	static const char *const suffix[] = { "", "-wal", "-journal" };
	sqlite3_stmt *stmt;
	sqlite3 *db;
	char file[64];

	for (int i = 0; i < 3; i++) {
		(void)snprintf(file, sizeof(file), "%s%s", name, suffix[i]);
		power_copy(file);
	}
	(void)snprintf(file, sizeof(file), "%s-shm", name);
	(void)unlink(unit_path(copy, file));
	if (access(unit_path(copy, name), F_OK) == -1)
		return NULL;
	assert_int_equal(sqlite3_open_v2(unit_path(copy, name), &db,
			     SQLITE_OPEN_READWRITE, "unix"),
	    SQLITE_OK);
	if (sqlite3_prepare_v2(db, "PRAGMA quick_check", -1, &stmt, NULL) !=
		SQLITE_OK ||
	    sqlite3_step(stmt) != SQLITE_ROW)
		fail_msg("%s: %s", name, sqlite3_errmsg(db));
	assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
	(void)sqlite3_finalize(stmt);
	if (sqlite3_prepare_v2(db, "SELECT 1 FROM sqlite_master", -1, &stmt,
		NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW) {
		(void)sqlite3_finalize(stmt);
		return db;
	}
	(void)sqlite3_finalize(stmt);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return NULL;
}

/* The number that a query gives for a text and another one (both may be NULL).
 */
static inline int
power_ask(sqlite3 *db, const char *sql, const char *one, const char *two)
{
	sqlite3_stmt *stmt = NULL;
	int n = 0;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (one != NULL)
		(void)sqlite3_bind_text(stmt, 1, one, -1, SQLITE_STATIC);
	if (two != NULL)
		(void)sqlite3_bind_text(stmt, 2, two, -1, SQLITE_STATIC);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		n = sqlite3_column_int(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return n;
}

static inline uint64_t
power_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

#endif
