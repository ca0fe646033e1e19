/* SPDX-License-Identifier: ISC */
/* mklogins - make a login table of any size for the benchmark, fast.
 * usage: mklogins FILE LOGINS [ACTIVE]
 *
 * All of them count for a year, or about ACTIVE of them: the others have
 * expired a day ago.
 *
 * Rows go in in the order of the primary key, so that every page is written
 * once; without a journal, because a half-made file is thrown away. */
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"
#include "common/db/store.h"
#include "tests/bench/clients.h"
#include "tests/bench/database.h"

enum { DAY_S = 24 * 3600, YEAR_S = 365 * DAY_S };

static int
by_text(const void *a, const void *b)
{
	char x[8], y[8];

	snprintf(x, sizeof(x), "%" PRIu32, *(const uint32_t *)a);
	snprintf(y, sizeof(y), "%" PRIu32, *(const uint32_t *)b);
	return strcmp(x, y);
}

static uint32_t every = 1; /* how many rows to one that counts */

static void
insert(sqlite3_stmt *stmt, uint32_t i, int64_t now)
{
	char client[CLIENT_TEXT_MAX], user[USER_TEXT_MAX];

	client_known(client, i);
	client_user(user, i);
	sqlite3_bind_text(stmt, 1, client, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, user, -1, SQLITE_STATIC);
	sqlite3_bind_int64(
	    stmt, 4, i % every == 0 ? now + YEAR_S : now - DAY_S);
	check(sqlite3_step(stmt) == SQLITE_DONE, "insert");
	sqlite3_reset(stmt);
}

/* Octets in the order of their text, and so addresses in that of theirs:
 * '.' sorts before every digit. */
static void
insert_all(sqlite3_stmt *stmt, uint32_t n, int64_t now)
{
	uint32_t octet[256], a, b;

	for (uint32_t i = 0; i < 256; i++)
		octet[i] = i;
	qsort(octet, 256, sizeof(octet[0]), by_text);
	for (int i = 0; i < 256; i++) {
		a = octet[i] << 16;
		for (int j = 0; a < n && j < 256; j++) {
			b = a | octet[j] << 8;
			for (int k = 0; b < n && k < 256; k++) {
				if ((b | octet[k]) < n)
					insert(stmt, b | octet[k], now);
			}
		}
	}
}

/* The filter must believe that a collector is alive. */
static void
add_source(int64_t now)
{
	sqlite3_stmt *stmt = prepare("INSERT INTO source (name, inode, "
				     "position, fingerprint, read_at, line_at) "
				     "VALUES ('file:bench', 0, 0, '', ?1, ?1)");

	sqlite3_bind_int64(stmt, 1, now);
	check(sqlite3_step(stmt) == SQLITE_DONE, "source");
	sqlite3_finalize(stmt);
}

static void
fill(const char *path, uint32_t n)
{
	int64_t now = (int64_t)time(NULL);
	sqlite3_stmt *stmt;

	begin(path);
	add_source(now);
	stmt = prepare("INSERT INTO login (client, user, service, server, "
		       "first_at, last_at, expires_at, count) "
		       "VALUES (?1, ?2, 'imap', 'dovecot', ?3, ?3, ?4, 1)");
	sqlite3_bind_int64(stmt, 3, now);
	insert_all(stmt, n, now);
	sqlite3_finalize(stmt);
	end();
}

int
main(int argc, char **argv)
{
	unsigned long n = argc >= 3 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned long active = argc == 4 ? strtoul(argv[3], NULL, 10) : n;
	struct store *st;
	struct err err;

	if (n < 1 || n > CLIENTS_MAX || active < 1 || active > n) {
		fprintf(stderr, "usage: mklogins FILE LOGINS [ACTIVE]\n");
		return EX_USAGE;
	}
	every = (uint32_t)(n / active);
	if (store_open(argv[1], STORE_WRITE, &st, &err) == -1) {
		fprintf(stderr, "mklogins: %s\n", err.text);
		return EX_CANTCREAT;
	}
	store_close(&st);
	fill(argv[1], (uint32_t)n);
	return EX_OK;
}
