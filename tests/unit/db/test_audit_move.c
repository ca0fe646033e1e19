/* SPDX-License-Identifier: ISC */
/* The audit's -wal is moved into the file by a thread of its own: while that is
 * stopped, has no room, or has to leave frames to a reader, messages are
 * answered as before, and afterwards every row is there. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/audit.h"
#include "tests/unit/silent.h"

enum {
	ROWS = 500, /* of a message, a page each */
	LONG = 12, /* so many messages are more than a -wal may have */
	WAIT_MS = 60000
};

static char db[128];
static int rows_written;

/* --- a file that doesn't take what is written --- */

static struct {
	pthread_mutex_t mtx;
	pthread_cond_t cond;
	/* guarded by mtx */
	bool closed, full;
	int waiting, refused;
} gate = { .mtx = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

static const sqlite3_io_methods *real_io;
static sqlite3_io_methods gate_io;
static sqlite3_vfs gate_vfs, *real_vfs;

static int
gate_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
	(void)pthread_mutex_lock(&gate.mtx);
	gate.waiting++;
	while (gate.closed)
		(void)pthread_cond_wait(&gate.cond, &gate.mtx);
	gate.waiting--;
	bool full = gate.full;

	gate.refused += full;
	(void)pthread_mutex_unlock(&gate.mtx);
	return full ? SQLITE_FULL : real_io->xWrite(file, p, n, at);
}

static int
gate_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
    int *flags_r)
{
	(void)vfs;
	int rc = real_vfs->xOpen(real_vfs, name, file, flags, flags_r);

	if (rc != SQLITE_OK || (flags & SQLITE_OPEN_MAIN_DB) == 0)
		return rc;
	(void)pthread_mutex_lock(&gate.mtx);
	if (real_io == NULL) {
		real_io = file->pMethods;
		gate_io = *real_io;
		gate_io.xWrite = gate_write;
	}
	(void)pthread_mutex_unlock(&gate.mtx);
	assert_ptr_equal(file->pMethods, real_io);
	file->pMethods = &gate_io;
	return SQLITE_OK;
}

static void
set_gate(bool closed, bool full)
{
	(void)pthread_mutex_lock(&gate.mtx);
	gate.closed = closed;
	gate.full = full;
	gate.refused = 0;
	(void)pthread_cond_broadcast(&gate.cond);
	(void)pthread_mutex_unlock(&gate.mtx);
}

static int
gate_count(const int *n)
{
	(void)pthread_mutex_lock(&gate.mtx);
	int count = *n;

	(void)pthread_mutex_unlock(&gate.mtx);
	return count;
}

/* --- messages --- */

static struct audit *
start(void)
{
	const struct audit_options opt = { .path = db,
		.queue = 10L * ROWS,
		.keep_s = 86400,
		.log_line = no_line,
		.log_state = no_state };
	struct audit *a;
	struct err err;

	if (audit_start(&opt, &a, &err) == -1)
		fail_msg("%s", err.text);
	return a;
}

static uint64_t
message(struct audit *a)
{
	struct audit_row *list = NULL;
	char text[1001];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < ROWS; i++) {
		const struct audit_facts f = { .at_ms = clock_now_ms(),
			.client = "192.0.2.1",
			.client_name = text,
			.helo = text,
			.sender = text,
			.recipient = text,
			.decision = { .verdict = VERDICT_ACCEPT,
			    .reason = REASON_RECENT_LOGIN } };

		list = audit_row_chain(list, audit_row_new(&f));
	}
	return audit_submit(a, list, true);
}

static void
answer(struct audit *a, int messages)
{
	for (int i = 0; i < messages; i++) {
		ROW("message %d", i);
		assert_true(audit_wait(a, message(a), WAIT_MS));
		rows_written += ROWS;
	}
}

/* Which run of the -wal it is: SQLite counts them in its header. */
static uint32_t
wal_run(void)
{
	uint8_t b[4];
	char name[160];

	(void)snprintf(name, sizeof(name), "%s-wal", db);
	FILE *in = fopen(name, "re");

	assert_non_null(in);
	assert_int_equal(fseek(in, 16, SEEK_SET), 0);
	assert_int_equal(fread(b, 1, 4, in), 4);
	(void)fclose(in);
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	    (uint32_t)b[2] << 8 | b[3];
}

/* Answer messages until the -wal is begun anew: all of it was moved. */
static void
answer_until_moved(struct audit *a, uint32_t run)
{
	for (int n = 0; wal_run() == run; n++) {
		assert_true(n < 1000);
		answer(a, 1);
	}
}

static int64_t
number(const char *sql)
{
	sqlite3_stmt *stmt;
	sqlite3 *h;

	assert_int_equal(sqlite3_open(db, &h), SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(h, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(stmt, 0);

	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(h);
	return n;
}

static void
stop(struct audit *a)
{
	struct audit_stats stats;

	audit_stats(a, &stats);
	assert_int_equal(stats.lost, 0);
	audit_stop(&a);
	assert_int_equal(
	    number("SELECT count(*) FROM channel_decision"), rows_written);
	assert_int_equal(number("SELECT count(*) FROM pragma_integrity_check "
				"WHERE integrity_check <> 'ok'"),
	    0);
}

/* --- the tests --- */

/* The file takes nothing for as long as it likes. */
static void
nobody_waits(void **state)
{
	struct audit *a = start();

	(void)state;
	answer(a, 1);
	uint32_t run = wal_run();

	set_gate(true, false);
	answer(a, 2 * LONG);
	wait_until(gate_count(&gate.waiting) == 1);
	answer(a, 3);
	set_gate(false, false);
	answer_until_moved(a, run);
	stop(a);
}

static void
stops_while_moving(void **state)
{
	struct audit *a = start();

	(void)state;
	set_gate(true, false);
	answer(a, 2 * LONG);
	wait_until(gate_count(&gate.waiting) == 1);
	set_gate(false, false);
	stop(a);
}

static void
no_room(void **state)
{
	struct audit *a = start();

	(void)state;
	answer(a, 1);
	uint32_t run = wal_run();

	set_gate(false, true);
	answer(a, LONG);
	while (gate_count(&gate.refused) == 0)
		answer(a, 1);
	answer(a, LONG);
	assert_int_equal(wal_run(), run);
	assert_true(audit_healthy(a));
	set_gate(false, false);
	answer_until_moved(a, run);
	stop(a);
}

static void
reader_stays(void **state)
{
	struct audit *a = start();
	sqlite3 *reader;

	(void)state;
	answer(a, 1);
	uint32_t run = wal_run();

	assert_int_equal(sqlite3_open(db, &reader), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM decision", NULL,
		NULL, NULL),
	    SQLITE_OK);
	answer(a, 2 * LONG);
	assert_int_equal(wal_run(), run);
	assert_int_equal(sqlite3_close(reader), SQLITE_OK);
	answer_until_moved(a, run);
	stop(a);
}

/* Somebody meddles with the file at the worst moment: what may have been in it
 * is called lost, and what follows is there. */
static void
meddled_with(void **state)
{
	static const char *const commands[] = {
		"rm %s",
		": > %s",
		"cp %s %s.x && mv %s.x %s",
		"rm %s %s-wal %s-shm",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		struct audit *a = start();
		char command[600];

		ROW("%s", commands[i]);
		answer(a, 1);
		set_gate(true, false);
		answer(a, 2 * LONG);
		wait_until(gate_count(&gate.waiting) == 1);
		uint64_t under_way = message(a);

		assert_true(audit_wait(a, under_way, WAIT_MS));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
		(void)snprintf(
		    command, sizeof(command), commands[i], db, db, db, db);
#pragma GCC diagnostic pop
		assert_int_equal(system(command), 0);
		uint64_t next = message(a);

		wait_until(audit_state(a, under_way) == AUDIT_LOST);
		set_gate(false, false);
		bool kept = audit_wait(a, next, WAIT_MS);
		bool again = false;

		for (int n = 0; n < 100 && !again; n++)
			again = audit_wait(a, message(a), WAIT_MS);
		assert_true(again);
		audit_stop(&a);
		assert_true(number("SELECT count(*) FROM channel_decision") >=
		    (kept ? 2 : 1) * ROWS);
		(void)snprintf(command, sizeof(command),
		    "rm -f %s %s-wal %s-shm", db, db, db);
		assert_int_equal(system(command), 0);
	}
}

static int
setup(void **state)
{
	(void)state;
	rows_written = 0;
	(void)snprintf(db, sizeof(db), "%s/audit.db", unit_dir());
	return 0;
}

static int
teardown(void **state)
{
	static const char *const suffix[] = { "", "-wal", "-shm" };
	char name[160];

	(void)state;
	set_gate(false, false);
	for (int i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", db, suffix[i]);
		(void)unlink(name);
	}
	*strrchr(db, '/') = '\0';
	return rmdir(db);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_waits),
		TEST(stops_while_moving),
		TEST(no_room),
		TEST(reader_stays),
		TEST(meddled_with),
	};

	real_vfs = sqlite3_vfs_find(NULL);
	gate_vfs = *real_vfs;
	gate_vfs.zName = "gate";
	gate_vfs.xOpen = gate_open;
	(void)sqlite3_vfs_register(&gate_vfs, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
