/* SPDX-License-Identifier: ISC */
#include "common/db/outbox.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/db/audit.h"
#include "common/db/db.h"
#include "common/db/sql.h"

enum { BUSY_MS = 2000, FILE_MODE = 0644 };

struct outbox {
	sqlite3 *db;
	sqlite3_stmt *add, *deny, *save, *version, *relayed, *denials;
	dev_t dev;
	ino_t ino;
	char path[4096], origin[OUTBOX_ORIGIN_MAX];
};

void
outbox_path(const char *audit, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s.outbox", audit);
}

/* SQLite gives its -wal and -shm the mode that the file has. */
static int
make(struct outbox *o, struct err *err)
{
	char like[4096];

	(void)snprintf(like, sizeof(like), "%s", o->path);
	*strrchr(like, '/') = '\0';
	if (db_create(o->path, like, err) == -1)
		return -1;
	if (chmod(o->path, FILE_MODE) == 0 || errno == EPERM)
		return 0;
	err_set(err, ERR_IO, "%s: %s", o->path, strerror(errno));
	return -1;
}

static int
name_it(struct outbox *o, struct err *err)
{
	uint8_t bytes[(OUTBOX_ORIGIN_MAX - 1) / 2];
	char sql[200];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
		err_set(err, ERR_IO, "getrandom: no random bits");
		return -1;
	}
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(o->origin + 2 * i, 3, "%02x", bytes[i]);
	(void)snprintf(sql, sizeof(sql),
	    "INSERT OR IGNORE INTO progress (id, origin, decision) "
	    "VALUES (1, '%s', -1)",
	    o->origin);
	return db_exec(o->db, sql, err);
}

static int
read_name(struct outbox *o, struct err *err)
{
	sqlite3_stmt *stmt = NULL;

	if (db_prepare(o->db, "SELECT origin FROM progress", &stmt, err) == -1)
		return -1;
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		(void)snprintf(
		    o->origin, sizeof(o->origin), "%s", db_text(stmt, 0));
	int ret = db_walked(o->db, stmt, rc, "outbox", err);

	(void)sqlite3_finalize(stmt);
	if (ret == -1 || rc == SQLITE_ROW)
		return ret;
	err_set(err, ERR_EMPTY, "%s: has no name yet", o->path);
	return -1;
}

static int
prepare_writing(struct outbox *o, struct err *err)
{
	/* The next round finds in audit.db whatever a crash of the machine
	 * loses here. */
	return db_exec(o->db, "PRAGMA synchronous = NORMAL", err) == -1 ||
		db_prepare(o->db,
		    "INSERT INTO relayed (at, client, user, how, sender, "
		    "recipients, messages) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		    &o->add, err) == -1 ||
		db_prepare(o->db,
		    "INSERT INTO denial (kind, subject, at, until, note) "
		    "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET "
		    "at = excluded.at, until = excluded.until, "
		    "note = excluded.note "
		    "WHERE (excluded.at, excluded.until) > (at, until)",
		    &o->deny, err) == -1 ||
		db_prepare(o->db, "UPDATE progress SET decision = ?1", &o->save,
		    err) == -1
	    ? -1
	    : 0;
}

static int
prepare(struct outbox *o, bool write, struct err *err)
{
	if ((write &&
		(name_it(o, err) == -1 || prepare_writing(o, err) == -1)) ||
	    read_name(o, err) == -1)
		return -1;
	return db_prepare(o->db, "PRAGMA data_version", &o->version, err) ==
		    -1 ||
		db_prepare(o->db,
		    "SELECT id, at, client, user, how, sender, recipients, "
		    "messages FROM relayed WHERE id > ?1 AND at > ?2 "
		    "ORDER BY id LIMIT ?3",
		    &o->relayed, err) == -1 ||
		db_prepare(o->db,
		    "SELECT kind, subject, at, until, note FROM denial",
		    &o->denials, err) == -1
	    ? -1
	    : 0;
}

int
outbox_open(const char *audit, bool write, struct outbox **o_r, struct err *err)
{
	struct outbox *o = calloc(1, sizeof(*o));
	struct stat st;

	*o_r = NULL;
	if (o == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	outbox_path(audit, o->path, sizeof(o->path));
	if ((write && make(o, err) == -1) ||
	    db_open(o->path, write ? DB_CREATE : DB_READ, BUSY_MS, sql_outbox,
		SQL_OUTBOX_STEPS, &o->db, err) == -1 ||
	    prepare(o, write, err) == -1)
		goto fail;
	if (stat(o->path, &st) == -1) {
		err_set(err, ERR_IO, "%s: %s", o->path, strerror(errno));
		goto fail;
	}
	o->dev = st.st_dev;
	o->ino = st.st_ino;
	*o_r = o;
	return 0;
fail:
	outbox_close(&o);
	return -1;
}

void
outbox_close(struct outbox **op)
{
	struct outbox *o = *op;

	if (o == NULL)
		return;
	(void)sqlite3_finalize(o->add);
	(void)sqlite3_finalize(o->deny);
	(void)sqlite3_finalize(o->save);
	(void)sqlite3_finalize(o->version);
	(void)sqlite3_finalize(o->relayed);
	(void)sqlite3_finalize(o->denials);
	(void)sqlite3_close(o->db);
	free(o);
	*op = NULL;
}

bool
outbox_lost(const struct outbox *o)
{
	struct stat st;

	return stat(o->path, &st) == -1 || st.st_dev != o->dev ||
	    st.st_ino != o->ino;
}

const char *
outbox_origin(const struct outbox *o)
{
	return o->origin;
}

int
outbox_progress(struct outbox *o, int64_t *decision_r, struct err *err)
{
	/* db_number() gives no negative ones */
	int64_t n = db_number(o->db, "SELECT decision + 1 FROM progress", err);

	*decision_r = n - 1;
	return n == -1 ? -1 : 0;
}

/* --- writing --- */

int
outbox_begin(struct outbox *o, struct err *err)
{
	return db_exec(o->db, "BEGIN IMMEDIATE", err);
}

static void
bind(sqlite3_stmt *stmt, int i, const char *text)
{
	assert(text != NULL);
	(void)sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
}

int
outbox_add(struct outbox *o, const struct relayed *r, struct err *err)
{
	(void)sqlite3_bind_int64(o->add, 1, r->at);
	bind(o->add, 2, r->client);
	bind(o->add, 3, r->user);
	bind(o->add, 4, r->how);
	bind(o->add, 5, r->sender);
	(void)sqlite3_bind_int64(o->add, 6, r->recipients);
	(void)sqlite3_bind_int64(o->add, 7, r->messages);
	return db_run(o->db, o->add, "outbox", err);
}

int
outbox_deny(struct outbox *o, const struct audit_denial *d, struct err *err)
{
	bind(o->deny, 1, audit_kind(d->is_user, d->by_login));
	bind(o->deny, 2, d->subject);
	(void)sqlite3_bind_int64(o->deny, 3, d->at);
	(void)sqlite3_bind_int64(o->deny, 4, d->until);
	bind(o->deny, 5, d->note);
	return db_run(o->db, o->deny, "outbox", err);
}

int
outbox_save(struct outbox *o, int64_t decision, struct err *err)
{
	(void)sqlite3_bind_int64(o->save, 1, decision);
	return db_run(o->db, o->save, "outbox", err);
}

/* The newest row stays, so that no number comes twice. */
int
outbox_prune(struct outbox *o, int64_t relayed_before, int64_t denied_before,
    struct err *err)
{
	char sql[300];

	(void)snprintf(sql, sizeof(sql),
	    "DELETE FROM relayed WHERE at < %lld "
	    "AND id < (SELECT max(id) FROM relayed); "
	    "DELETE FROM denial WHERE max(at, until) < %lld",
	    (long long)relayed_before, (long long)denied_before);
	return db_exec(o->db, sql, err);
}

int
outbox_commit(struct outbox *o, struct err *err)
{
	return db_exec(o->db, "COMMIT", err);
}

void
outbox_rollback(struct outbox *o)
{
	if (!sqlite3_get_autocommit(o->db))
		(void)sqlite3_exec(o->db, "ROLLBACK", NULL, NULL, NULL);
}

/* --- reading --- */

int64_t
outbox_version(struct outbox *o, struct err *err)
{
	return db_step_number(o->db, o->version, "outbox", err);
}

int
outbox_each_relayed(struct outbox *o, int64_t after, int64_t since, int limit,
    void (*fn)(void *arg, const struct relayed *relayed), void *arg,
    struct err *err)
{
	sqlite3_stmt *s = o->relayed;
	int rc;

	(void)sqlite3_bind_int64(s, 1, after);
	(void)sqlite3_bind_int64(s, 2, since);
	(void)sqlite3_bind_int(s, 3, limit);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		const struct relayed r = { .id = sqlite3_column_int64(s, 0),
			.origin = o->origin,
			.number = sqlite3_column_int64(s, 0),
			.at = sqlite3_column_int64(s, 1),
			.client = db_text(s, 2),
			.user = db_text(s, 3),
			.how = db_text(s, 4),
			.sender = db_text(s, 5),
			.recipients = sqlite3_column_int64(s, 6),
			.messages = sqlite3_column_int64(s, 7) };

		fn(arg, &r);
	}
	return db_walked(o->db, s, rc, "outbox", err);
}

int
outbox_each_denial(struct outbox *o,
    bool (*fn)(void *arg, const struct audit_denial *denial), void *arg,
    struct err *err)
{
	sqlite3_stmt *s = o->denials;
	bool more = true;
	int rc = SQLITE_DONE;

	while (more && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		const char *kind = db_text(s, 0);
		const struct audit_denial d = {
			.is_user = strcmp(kind, audit_kind(false, false)) != 0,
			.by_login = strcmp(kind, audit_kind(true, true)) == 0,
			.subject = db_text(s, 1),
			.at = sqlite3_column_int64(s, 2),
			.until = sqlite3_column_int64(s, 3),
			.note = db_text(s, 4)
		};

		more = fn(arg, &d);
	}
	return db_walked(o->db, s, rc, "outbox", err);
}
