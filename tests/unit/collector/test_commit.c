/* SPDX-License-Identifier: ISC */
/* The collector's loop, sources and database, without its program: what a step
 * reads and writes, and what it makes of a table that is locked, lost, replaced
 * or restored. */
#include "tests/unit/unit.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <time.h>

#include "collector/batch.h"
#include "collector/collect.h"
#include "collector/commit.h"
#include "collector/state.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/config/config.h"
#include "common/db/store.h"

static char dir[64], noted[4000];
static int wake[2]; /* readable: a wait ends at once */

static void
note(int priority, const char *text)
{
	size_t n = strlen(noted);

	(void)priority;
	(void)snprintf(noted + n, sizeof(noted) - n, "%s\n", text);
}

static const char *
path_of(const char *name)
{
	return unit_path(dir, name);
}

static struct config *
configuration(const char *servers, const char *sources)
{
	char text[1500];
	struct config *cfg;
	struct err err;

	(void)snprintf(text, sizeof(text),
	    "logins: { database = \"%s\"; };\n"
	    "collector: { %s sources = ( %s ); };\n",
	    path_of("logins.db"), servers, sources);
	const char *name = unit_file(0, text);

	if (config_load(name, &cfg, &err) == -1)
		fail_msg("%s", err.text);
	(void)unlink(name);
	return cfg;
}

static struct collect *
collector(void)
{
	char source[200];
	struct collect *c;
	struct err err;

	(void)snprintf(
	    source, sizeof(source), "{ file = \"%s\"; }", path_of("mail.log"));
	if (collect_new(configuration("", source), note, &c, &err) == -1)
		fail_msg("%s", err.text);
	return c;
}

static void
logs_in(const char *client)
{
	FILE *log = fopen(path_of("mail.log"), "a");
	time_t now = time(NULL);
	char stamp[40];
	struct tm tm;

	assert_non_null(log);
	(void)strftime(
	    stamp, sizeof(stamp), "%b %e %H:%M:%S", localtime_r(&now, &tm));
	(void)fprintf(log,
	    "%s mail dovecot: imap-login: Login: user=<ann>, method=PLAIN, "
	    "rip=%s, lip=192.0.2.1, mpid=1, TLS, session=<x>\n",
	    stamp, client);
	assert_int_equal(fclose(log), 0);
}

/* Step until all is read and written. */
static void
steps(struct collect *c)
{
	struct err err;

	for (int i = 0; i < 5; i++) {
		assert_true(collect_wait(c, wake[0]));
		assert_true(collect_step(c));
	}
	if (c->store != NULL && commit_flush(c, true, &err) == -1)
		note(0, err.text);
}

static int
ask(const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;

	assert_int_equal(sqlite3_open(path_of("logins.db"), &db), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	int n =
	    sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : 0;

	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return n;
}

#define LOGINS "SELECT count(*) FROM login"
#define LINES "SELECT count(*) FROM login_event"

/* From the line to the table, each once, also by the next process. */
static void
line_to_table(void **state)
{
	struct collect_figures figures;
	struct collect *c = collector();
	struct err err;

	(void)state;
	logs_in("203.0.113.5");
	assert_int_equal(collect_start(c, &err), 0);
	steps(c);
	assert_int_equal(ask(LOGINS), 1);
	collect_figures(c, &figures);
	assert_int_equal(figures.lines, 1);
	assert_int_equal(figures.logins, 1);
	assert_int_equal(figures.waiting, 0);
	assert_true(figures.store_good);
	logs_in("203.0.113.6");
	steps(c);
	assert_int_equal(ask(LOGINS), 2);
	assert_int_equal(collect_finish(c, &err), 0);
	collect_free(&c);
	assert_null(c);
	logs_in("203.0.113.7");
	c = collector();
	assert_int_equal(collect_start(c, &err), 0);
	steps(c);
	assert_int_equal(ask(LOGINS), 3);
	assert_int_equal(ask(LINES), 3);
	collect_free(&c);
}

static void
bad_settings(void **state)
{
	static const struct {
		const char *servers, *want;
	} rows[] = {
		{ "servers = [ \"nosuchserver\" ];", "nosuchserver" },
		{ "custom = ( { program = \"y\"; pattern = \"(\"; } );",
		    "pattern" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct collect *c = NULL;
		struct err err = { .text = "" };
		struct config *cfg =
		    configuration(rows[i].servers, "{ stdin = true; }");

		assert_int_equal(collect_check(cfg, &err), -1);
		if (strstr(err.text, rows[i].want) == NULL)
			fail_msg("%s: %s", rows[i].servers, err.text);
		assert_int_equal(collect_new(cfg, note, &c, &err), -1);
		assert_null(c);
	}
}

/* Two collectors of one table: the second doesn't start while there is a
 * first. */
static void
one_collector(void **state)
{
	struct collect *a = collector(), *b = collector();
	struct err err;

	(void)state;
	assert_int_equal(collect_start(a, &err), 0);
	assert_int_equal(collect_start(b, &err), -1);
	assert_int_equal(err.code, ERR_BUSY);
	collect_free(&a);
	assert_int_equal(collect_start(b, &err), 0);
	collect_free(&b);
}

/* Each configured source has a row, and no other has. */
static void
rows_of_sources(void **state)
{
	struct collect *c = collector();
	struct err err;

	(void)state;
	assert_int_equal(collect_start(c, &err), 0);
	assert_int_equal(ask("SELECT count(*) FROM source"), 1);
	(void)ask("UPDATE source SET name = 'file:/gone'");
	(void)ask("INSERT INTO source_count (source, server, reason, lines, "
		  "last_at) VALUES ('file:/gone', 'x', 'y', 1, 1)");
	collect_free(&c);
	c = collector();
	assert_int_equal(collect_start(c, &err), 0);
	assert_int_equal(
	    ask("SELECT count(*) FROM source WHERE name LIKE '%mail.log'"), 1);
	assert_int_equal(
	    ask("SELECT count(*) FROM source WHERE name LIKE '%gone'"), 0);
	assert_int_equal(
	    ask("SELECT count(*) FROM source_count WHERE source LIKE '%gone'"),
	    0);
	collect_free(&c);
}

/* A locked table loses nothing. */
static void
locked(void **state)
{
	struct collect *c = collector();
	sqlite3 *other;
	struct err err;

	(void)state;
	assert_int_equal(collect_start(c, &err), 0);
	steps(c);
	assert_int_equal(sqlite3_open(path_of("logins.db"), &other), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
	    SQLITE_OK);
	logs_in("203.0.113.5");
	noted[0] = '\0';
	steps(c);
	assert_non_null(strstr(noted, "trying again; 1 logins wait"));
	assert_int_equal(batch_count(c->batch), 1);
	assert_int_equal(
	    sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(other);
	assert_int_equal(commit_flush(c, true, &err), 0);
	assert_int_equal(batch_count(c->batch), 0);
	assert_int_equal(ask(LINES), 1);
	assert_non_null(strstr(noted, "works again"));
	collect_free(&c);
}

/* The file is gone: it is made anew after a minute, and not before, since it
 * may come back. */
static void
removed(void **state)
{
	struct collect *c = collector();
	struct err err;

	(void)state;
	assert_int_equal(collect_start(c, &err), 0);
	steps(c);
	assert_int_equal(rename(path_of("logins.db"), path_of("elsewhere")), 0);
	commit_watch(c);
	assert_non_null(c->store);
	assert_int_equal(rename(path_of("elsewhere"), path_of("logins.db")), 0);
	commit_watch(c);
	assert_int_equal(c->db_missing_ms, 0);
	assert_int_equal(unlink(path_of("logins.db")), 0);
	commit_watch(c);
	assert_non_null(c->store);
	c->db_missing_ms -= 61 * 1000;
	noted[0] = '\0';
	commit_watch(c);
	assert_null(c->store);
	assert_non_null(strstr(noted, "was replaced"));
	collect_free(&c);
}

/* An older copy in its place, as another file or put into it: what was written
 * since then is read again, and a login that waited isn't written twice. */
static void
older_copy(void **state)
{
	for (int into = 0; into < 2; into++) {
		struct collect *c = collector();
		struct err err;
		sqlite3 *from, *to;

		assert_int_equal(collect_start(c, &err), 0);
		logs_in("203.0.113.5");
		steps(c);
		(void)ask("UPDATE source SET read_at = read_at - 1");
		assert_int_equal(
		    sqlite3_open(path_of("copy.db"), &to), SQLITE_OK);
		assert_int_equal(
		    sqlite3_open(path_of("logins.db"), &from), SQLITE_OK);
		sqlite3_backup *b =
		    sqlite3_backup_init(to, "main", from, "main");

		assert_int_equal(sqlite3_backup_step(b, -1), SQLITE_DONE);
		(void)sqlite3_backup_finish(b);
		/* what another program writes is no older copy */
		c->db_version = 0;
		(void)ask("UPDATE source SET read_at = read_at + 1");
		logs_in("203.0.113.6");
		steps(c);
		assert_non_null(c->store);
		assert_int_equal(ask(LINES), 2);
		logs_in("203.0.113.7");
		noted[0] = '\0';
		if (into) {
			b = sqlite3_backup_init(from, "main", to, "main");
			assert_int_equal(
			    sqlite3_backup_step(b, -1), SQLITE_DONE);
			(void)sqlite3_backup_finish(b);
			steps(c);
			assert_non_null(strstr(noted, "an older copy"));
		}
		(void)sqlite3_close(from);
		(void)sqlite3_close(to);
		if (!into) {
			(void)unlink(path_of("logins.db-wal"));
			(void)unlink(path_of("logins.db-shm"));
			assert_int_equal(
			    rename(path_of("copy.db"), path_of("logins.db")),
			    0);
			commit_watch(c);
		}
		assert_null(c->store);
		c->retry_ms = 0;
		assert_int_equal(collect_start(c, &err), 0);
		steps(c);
		assert_int_equal(ask(LOGINS), 3);
		assert_int_equal(ask(LINES), 3);
		collect_free(&c);
		(void)unlink(path_of("mail.log"));
		(void)unlink(path_of("logins.db"));
		(void)unlink(path_of("logins.db-wal"));
		(void)unlink(path_of("logins.db-shm"));
		(void)unlink(path_of("copy.db"));
	}
	(void)state;
}

static int
set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_memory_dir());
	noted[0] = '\0';
	return pipe(wake) == 0 && write(wake[1], "x", 1) == 1 ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)close(wake[0]);
	(void)close(wake[1]);
	return unit_remove(dir);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(line_to_table),
		TEST(bad_settings),
		TEST(one_collector),
		TEST(rows_of_sources),
		TEST(locked),
		TEST(removed),
		TEST(older_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
