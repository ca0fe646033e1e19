/* SPDX-License-Identifier: ISC */
/* store_inside - what the files of store share. For store*.c only. */
#ifndef POPGATE_STORE_INSIDE_H
#define POPGATE_STORE_INSIDE_H

#include "common/db/db.h"
#include "common/db/store.h"

enum { STORE_STATEMENTS = 96 }; /* there are fewer texts */

struct store {
	sqlite3 *db;
	/* Statements stay prepared. They are known by the address of their
	 * text. */
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} statements[STORE_STATEMENTS];
	unsigned n_statements;
	bool reader; /* opened with STORE_READ */
	/* Does the table hold a denial or a network entry? As of data version
	 * others_version; own writes don't change that number. */
	bool others, others_known;
	unsigned others_version;
	int64_t sessions; /* rows of session, or more; -1: not counted */
};

/* The statement of a text, which must be a static array: prepared at its first
 * use, and st's. NULL with err. */
sqlite3_stmt *store_stmt(struct store *st, const char *sql, struct err *err);

/* The text is borrowed until the statement is reset or bound again. */
void store_bind_text(sqlite3_stmt *stmt, int i, const char *text);

/* --- store_lookup.c --- */

/* Prepare the widest look-up, so that store_open() and not the first RCPT
 * notices a foreign schema. 0, or -1 with err. */
int store_prepare_lookup(struct store *st, struct err *err);

/* --- store_logins.c --- */

/* The columns of a login that an entry fills in. */
#define STORE_COLUMNS                                        \
	"client, user, service, server, first_at, last_at, " \
	"expires_at, count"

/* The columns that store_row_columns() reads. */
#define STORE_CONNECTED(column)                                    \
	"(SELECT s." column " FROM session AS s WHERE s.client = " \
	"login.client AND s.user = login.user ORDER BY s.until_at LIMIT 1)"
#define STORE_ROW     \
	STORE_COLUMNS \
	", " STORE_CONNECTED("began_at") ", " STORE_CONNECTED("service")

/* A row of the login table. Its strings are the statement's. */
struct store_row store_row_columns(sqlite3_stmt *stmt);

/* --- store_history.c --- */

/* Evidence is text for an admin's terminal: each byte that isn't printable
 * ASCII is written as \xNN. Returns malloced text, or NULL. */
char *store_escape_line(const char *line, size_t len);

/* Bind a line as the history has it. *escaped_r, which may be NULL, is the
 * caller's to free behind the statement. 0, or -1 with err. */
int store_bind_evidence(sqlite3_stmt *stmt, int i, const struct store_entry *e,
    char **escaped_r, struct err *err);

/* Add a login to the history. 0, or -1 with err. */
int store_record_evidence(
    struct store *st, const struct store_entry *e, struct err *err);

/* --- store_deletions.c --- */

/* Remember that logins of client dated at or earlier are deleted; "": those of
 * everybody. 0, or -1 with err. */
int store_set_deleted(
    struct store *st, const char *client, int64_t at, struct err *err);

/* Until when logins of a client were deleted; INT64_MIN: never. */
struct store_deleted {
	int64_t own_at; /* of this client */
	int64_t all_at; /* of everybody */
};

/* Deletions beside logins that come by client: both are walked once. */
struct store_deletions {
	sqlite3_stmt *stmt;
	int rc; /* of its last step */
	struct store_deleted now; /* of the client that it stands at */
};

/* Walk the deletions that may hold against logins of client and of clients
 * behind it. Reset the statement after the walk. 0, or -1 with err. */
int store_deletions_begin(struct store *st, const char *client,
    struct store_deletions *d, struct err *err);

/* Go on to client, which isn't before the one of the last call. */
void store_deletions_seek(struct store_deletions *d, const char *client);

/* Keep those of the n entries, of one client, that open something. Returns how
 * many, or -1 with err. */
int64_t store_drop_deleted(struct store *st, const struct store_deleted *d,
    const struct store_entry **run, size_t n, struct err *err);

/* --- store_sessions.c --- */

/* A login of client and user counts until window_at, sessions or no. 0, or -1
 * with err. */
int store_sessions_window(struct store *st, const char *client,
    const char *user, int64_t window_at, struct err *err);

/* Record what n entries say of sessions, in their order, behind their logins.
 *   kept  of each entry: a login is in the table
 * 0, or -1 with err. */
int store_record_sessions(struct store *st, const struct store_entry *v,
    size_t n, const bool *kept, struct err *err);

#endif
