/* SPDX-License-Identifier: ISC */
/* mkdecisions - make a record of decisions of any size for the benchmark.
 * usage: mkdecisions FILE DECISIONS CLIENTS
 *
 * A tenth is of one client and its user, the worst that somebody may ask for;
 * the rest is spread over CLIENTS. Indexes are built when all is there, and
 * no journal is kept, because a half-made file is thrown away. */
#include <inttypes.h>
#include <time.h>

#include "common/base/err.h"
#include "common/db/db.h"
#include "common/db/sql.h"
#include "tests/bench/clients.h"
#include "tests/bench/database.h"

enum { INDEXES_MAX = 16, DAYS = 30 };

/* Take the indexes away; returns how many, and what makes them again. */
static int
drop_indexes(char **sql)
{
	sqlite3_stmt *stmt =
	    prepare("SELECT sql, name FROM sqlite_schema "
		    "WHERE type = 'index' AND sql IS NOT NULL");
	char *drop[INDEXES_MAX];
	int n = 0;

	for (; n < INDEXES_MAX && sqlite3_step(stmt) == SQLITE_ROW; n++) {
		sql[n] = sqlite3_mprintf("%s", sqlite3_column_text(stmt, 0));
		drop[n] = sqlite3_mprintf(
		    "DROP INDEX %s", sqlite3_column_text(stmt, 1));
	}
	sqlite3_finalize(stmt);
	for (int i = 0; i < n; i++) {
		run(drop[i]);
		sqlite3_free(drop[i]);
	}
	return n;
}

static void
insert(sqlite3_stmt *stmt, int64_t i, int64_t at_ms, uint32_t clients)
{
	char client[CLIENT_TEXT_MAX], user[USER_TEXT_MAX], id[24], to[48];
	/* a multiplier that is prime to any power of two spreads them */
	uint32_t who =
	    i % 10 == 0 ? 0 : (uint32_t)((uint64_t)i * 2654435761U % clients);
	bool accept = i % 7 != 0;

	client_known(client, who);
	client_user(user, who);
	snprintf(id, sizeof(id), "Q%" PRIx64, i / 2);
	snprintf(to, sizeof(to), "<someone%" PRId64 "@example.net>", i % 1000);
	sqlite3_bind_int64(stmt, 1, at_ms);
	sqlite3_bind_text(stmt, 2, id, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 3, client, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 4, to, -1, SQLITE_STATIC);
	sqlite3_bind_text(
	    stmt, 5, accept ? "accept" : "reject", -1, SQLITE_STATIC);
	sqlite3_bind_text(
	    stmt, 6, accept ? "recent-login" : "no-login", -1, SQLITE_STATIC);
	if (accept)
		sqlite3_bind_text(stmt, 7, user, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(stmt, 7);
	check(sqlite3_step(stmt) == SQLITE_DONE, "insert");
	sqlite3_reset(stmt);
}

static void
fill(const char *path, int64_t n, uint32_t clients)
{
	int64_t now_ms = (int64_t)time(NULL) * 1000;
	int64_t span_ms = INT64_C(86400000) * DAYS;
	char *index[INDEXES_MAX];
	sqlite3_stmt *stmt;

	begin(path);
	int indexes = drop_indexes(index);

	stmt = prepare(
	    "INSERT INTO channel_decision (at, session, queue_id, client, "
	    "client_name, helo, sender, recipient, class, verdict, reason, "
	    "auth_user, login_user, login_at, rule, reply, channel, mta) "
	    "VALUES (?1, ?2, ?2, ?3, 'client.example.com', "
	    "'client.example.com', 'sender@example.com', ?4, 'relay', ?5, ?6, "
	    "NULL, ?7, ?1 / 1000, 10, NULL, 'milter', 'Postfix 3.7.11')");
	for (int64_t i = 0; i < n; i++)
		insert(stmt, i, now_ms - span_ms + span_ms / n * i, clients);
	sqlite3_finalize(stmt);
	for (int i = 0; i < indexes; i++) {
		run(index[i]);
		sqlite3_free(index[i]);
	}
	end();
}

int
main(int argc, char **argv)
{
	long long n = argc == 4 ? strtoll(argv[2], NULL, 10) : 0;
	unsigned long clients = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	struct err err;

	if (n < 1 || clients < 1 || clients > CLIENTS_MAX) {
		fprintf(stderr, "usage: mkdecisions FILE DECISIONS CLIENTS\n");
		return EX_USAGE;
	}
	if (db_open(argv[1], DB_CREATE, 1000, sql_audit, SQL_AUDIT_STEPS, &db,
		&err) == -1) {
		fprintf(stderr, "mkdecisions: %s\n", err.text);
		return EX_CANTCREAT;
	}
	check(sqlite3_close(db) == SQLITE_OK, "close");
	fill(argv[1], n, (uint32_t)clients);
	return EX_OK;
}
