/* SPDX-License-Identifier: ISC */
#include "common/db/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/db_rights.h"

void
db_err(sqlite3 *db, const char *what, struct err *err)
{
	int rc = sqlite3_errcode(db);
	enum err_code code = ERR_IO;

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		code = ERR_BUSY;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		code = ERR_CORRUPT;
		break;
	case SQLITE_NOMEM:
		code = ERR_NOMEM;
		break;
	default:
		break;
	}
	const char *path = sqlite3_db_filename(db, "main");
	int sys = sqlite3_system_errno(db);

	err_set(err, code, "%s: %s: %s%s%s", path == NULL ? "" : path, what,
	    sqlite3_errmsg(db), code == ERR_IO && sys != 0 ? ": " : "",
	    code == ERR_IO && sys != 0 ? strerror(sys) : "");
}

int
db_exec(sqlite3 *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	char what[64];

	(void)snprintf(what, sizeof(what), "%.48s", sql);
	what[strcspn(what, "\n")] = '\0';
	db_err(db, what, err);
	return -1;
}

int
db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **stmt_r, struct err *err)
{
	assert(db != NULL && sql != NULL);
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt_r,
		NULL) == SQLITE_OK)
		return 0;
	db_err(db, "prepare", err);
	return -1;
}

int
db_run(sqlite3 *db, sqlite3_stmt *stmt, const char *what, struct err *err)
{
	int rc = sqlite3_step(stmt);

	assert(stmt != NULL);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		db_err(db, what, err);
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -1;
}

int64_t
db_step_number(
    sqlite3 *db, sqlite3_stmt *stmt, const char *what, struct err *err)
{
	int64_t n = -1;

	if (sqlite3_step(stmt) == SQLITE_ROW)
		n = sqlite3_column_int64(stmt, 0);
	else
		db_err(db, what, err);
	(void)sqlite3_reset(stmt);
	return n;
}

int64_t
db_number(sqlite3 *db, const char *sql, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int64_t n;

	if (db_prepare(db, sql, &stmt, err) == -1)
		return -1;
	n = db_step_number(db, stmt, sql, err);
	(void)sqlite3_finalize(stmt);
	return n;
}

enum { WATCH_OPS = 20000, TELL_MS = 100 };

static int
on_progress(void *arg)
{
	struct db_watch *w = arg;
	int64_t ms = clock_monotonic_ms();

	if (ms - w->began_ms >= w->after_ms && ms - w->told_ms >= TELL_MS) {
		w->busy(w->arg, ms - w->began_ms);
		w->told_ms = ms;
	}
	return 0;
}

/* A statement begins, has a row, or has ended. */
static int
on_trace(unsigned type, void *arg, void *stmt, void *x)
{
	struct db_watch *w = arg;

	(void)type;
	(void)stmt;
	(void)x;
	if (w->told_ms != 0)
		w->done(w->arg);
	w->told_ms = 0;
	w->began_ms = clock_monotonic_ms();
	return 0;
}

void
db_watch(sqlite3 *db, struct db_watch *w)
{
	assert(w->busy != NULL && w->done != NULL);
	w->began_ms = clock_monotonic_ms();
	w->told_ms = 0;
	sqlite3_progress_handler(db, WATCH_OPS, on_progress, w);
	(void)sqlite3_trace_v2(db,
	    SQLITE_TRACE_STMT | SQLITE_TRACE_ROW | SQLITE_TRACE_PROFILE,
	    on_trace, w);
}

int
db_walked(
    sqlite3 *db, sqlite3_stmt *stmt, int rc, const char *what, struct err *err)
{
	bool good = rc == SQLITE_DONE || rc == SQLITE_ROW;

	assert(stmt != NULL);
	/* now: the reset may overwrite it */
	if (!good)
		db_err(db, what, err);
	(void)sqlite3_reset(stmt);
	return good ? 0 : -1;
}

const char *
db_text(sqlite3_stmt *stmt, int col)
{
	const unsigned char *text = sqlite3_column_text(stmt, col);

	assert(col >= 0 && col < sqlite3_column_count(stmt));
	return text == NULL ? "" : (const char *)text;
}

/* Returns the version, or -1 with err. */
static int
user_version(sqlite3 *db, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL) !=
		SQLITE_OK ||
	    sqlite3_step(stmt) != SQLITE_ROW)
		db_err(db, "PRAGMA user_version", err);
	else
		version = sqlite3_column_int(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return version;
}

static int
migrate(sqlite3 *db, const struct db_migration *steps, int n, struct err *err)
{
	if (db_exec(db, "BEGIN IMMEDIATE", err) == -1)
		return -1;
	/* asked again under the lock: two programs may start together */
	int version = user_version(db, err);
	char pragma[40];

	if (version == -1)
		goto fail;
	for (; version < n; version++) {
		if (db_exec(db, steps[version].sql, err) == -1)
			goto fail;
		(void)snprintf(pragma, sizeof(pragma),
		    "PRAGMA user_version = %d", version + 1);
		if (db_exec(db, pragma, err) == -1)
			goto fail;
	}
	return db_exec(db, "COMMIT", err);
fail:
	(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

int
db_create(const char *path, const char *like, struct err *err)
{
	int fd = open(path, O_CREAT | O_RDWR | O_EXCL | O_CLOEXEC, 0640);

	if (fd == -1 && errno == EEXIST)
		return 0;
	if (fd == -1) {
		err_set(err, ERR_IO, "%s: %s (uid %u)", path, strerror(errno),
		    (unsigned)geteuid());
		return -1;
	}
	struct stat st;

	if (fchmod(fd, 0640) == -1 ||
	    (geteuid() == 0 && stat(like, &st) == 0 &&
		fchown(fd, st.st_uid, st.st_gid) == -1)) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		(void)close(fd);
		return -1;
	}
	(void)close(fd);
	return 0;
}

static int
create_in_directory(const char *path, struct err *err)
{
	char copy[4096];

	(void)snprintf(copy, sizeof(copy), "%s", path);
	return db_create(path, dirname(copy), err);
}

/* A reader that opens a table whose -wal and -shm are gone would make them
 * anew, and its own: the writer could never write again. */
static int
refuse_to_make_wal(const char *path, struct err *err)
{
	static const char *const suffix[] = { "-wal", "-shm" };
	char name[4096];
	struct stat st;

	if (geteuid() == 0 || stat(path, &st) == -1 || st.st_uid == geteuid())
		return 0;
	for (int i = 0; i < 2; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, suffix[i]);
		if (access(name, F_OK) == 0)
			continue;
		err_set(err, ERR_IO,
		    "%s: is missing: its writer makes it when it starts", name);
		return -1;
	}
	return 0;
}

/* Not one table: the file was truncated, or its writer has just made it. */
static bool
is_empty(sqlite3 *db)
{
	sqlite3_stmt *stmt = NULL;
	bool empty = sqlite3_prepare_v2(db, "SELECT 1 FROM sqlite_master", -1,
			 &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_DONE;

	(void)sqlite3_finalize(stmt);
	return empty;
}

int
db_open(const char *path, enum db_mode mode, int busy_ms,
    const struct db_migration *steps, int n, sqlite3 **db_r, struct err *err)
{
	int flags =
	    mode == DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	const char *vfs = NULL;
	sqlite3 *db = NULL;
	int version;

	assert(n > 0 && busy_ms >= 0);
	/* nobody asks how much memory SQLite has, and to count it costs a
	 * global mutex each time; fails harmlessly after the first open */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	*db_r = NULL;
	if ((mode == DB_CREATE && create_in_directory(path, err) == -1) ||
	    (mode == DB_READ && refuse_to_make_wal(path, err) == -1) ||
	    db_rights(path, mode != DB_READ, &vfs, err) == -1)
		return -1;
	if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, vfs) !=
	    SQLITE_OK) {
		if (db == NULL)
			err_set(err, ERR_NOMEM, "%s: out of memory", path);
		else
			err_set(err, ERR_IO, "%s: %s: %s", path,
			    sqlite3_errmsg(db),
			    strerror(sqlite3_system_errno(db)));
		goto fail;
	}
	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_timeout(db, busy_ms);
	/* a schema that somebody else wrote can't make us run its functions */
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	version = user_version(db, err);
	if (version == -1)
		goto fail;
	if (version > n) {
		err_set(err, ERR_VERSION,
		    "%s: version %d of the database is newer than this program, which knows %d",
		    path, version, n);
		goto fail;
	}
	if (mode == DB_READ) {
		if (version == 0 && is_empty(db)) {
			err_set(err, ERR_EMPTY,
			    "%s: is empty: was it truncated? Its writer makes it anew within seconds: is it running? To have the old rows, stop the writer and restore a backup",
			    path);
			goto fail;
		}
		if (version < n) {
			err_set(err, ERR_VERSION,
			    "%s: version %d of the database is older than %d: start its writer once to upgrade it",
			    path, version, n);
			goto fail;
		}
		*db_r = db;
		return 0;
	}
	int one = 1;

	if (db_exec(db, "PRAGMA journal_mode = WAL", err) == -1 ||
	    db_exec(db, "PRAGMA synchronous = FULL", err) == -1 ||
	    (version < n && migrate(db, steps, n, err) == -1))
		goto fail;
	(void)sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &one);
	*db_r = db;
	return 0;
fail:
	(void)sqlite3_close(db);
	return -1;
}
