/* SPDX-License-Identifier: ISC */
/* What is done beside the audit's writer. The -wal is moved into the file:
 * while that is stopped, has no room, or has to leave frames to a reader,
 * messages are answered as before, and afterwards every row is there. It is
 * brought to the disk: meanwhile rows are written, and nothing is called
 * durable. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/audit.h"
#include "tests/unit/silent.h"

enum {
	ROWS = 500, /* of a message, a page each */
	LONG = 12, /* so many messages are more than a -wal may have */
	QUEUE = 10 * ROWS,
	WAIT_MS = 60000
};

static char db[128];
static int rows_written;

/* --- a file that doesn't take what is written, or a disk what is synced --- */

static struct {
	pthread_mutex_t mtx;
	pthread_cond_t cond;
	/* guarded by mtx */
	bool closed, full;
	int waiting, refused;
	bool disk_stopped, disk_bad;
	int syncing; /* wait for the disk */
} gate = { .mtx = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

static const sqlite3_io_methods *real_io;
static sqlite3_io_methods gate_io, gate_wal_io;
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

/* Of the -wal. */
static int
gate_sync(sqlite3_file *file, int flags)
{
	(void)pthread_mutex_lock(&gate.mtx);
	gate.syncing++;
	while (gate.disk_stopped)
		(void)pthread_cond_wait(&gate.cond, &gate.mtx);
	gate.syncing--;
	bool bad = gate.disk_bad;

	gate.disk_bad = false; /* an error is told once */
	(void)pthread_mutex_unlock(&gate.mtx);
	return bad ? SQLITE_IOERR_FSYNC : real_io->xSync(file, flags);
}

static int
gate_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
    int *flags_r)
{
	(void)vfs;
	int rc = real_vfs->xOpen(real_vfs, name, file, flags, flags_r);

	bool wal = (flags & SQLITE_OPEN_WAL) != 0;

	if (rc != SQLITE_OK || !(wal || (flags & SQLITE_OPEN_MAIN_DB) != 0))
		return rc;
	(void)pthread_mutex_lock(&gate.mtx);
	if (!wal && real_io == NULL) {
		real_io = file->pMethods;
		gate_io = gate_wal_io = *real_io;
		gate_io.xWrite = gate_write;
		gate_wal_io.xSync = gate_sync;
	}
	(void)pthread_mutex_unlock(&gate.mtx);
	if (wal) {
		/* SQLite has other methods for it, with the same xSync */
		static sqlite3_io_methods io;

		assert_ptr_equal(file->pMethods->xSync, real_io->xSync);
		io = *file->pMethods;
		io.xSync = gate_sync;
		gate_wal_io = io;
	}
	file->pMethods = wal ? &gate_wal_io : &gate_io;
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

static void
set_disk(bool stopped, bool bad)
{
	(void)pthread_mutex_lock(&gate.mtx);
	gate.disk_stopped = stopped;
	gate.disk_bad = bad;
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
		.queue = QUEUE,
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

/* It writes again, if not at once. */
static void
writes_again(struct audit *a, uint64_t (*submit)(struct audit *a))
{
	bool again = false;

	for (int n = 0; n < 100 && !again; n++)
		again = audit_wait(a, submit(a), WAIT_MS);
	assert_true(again);
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
		writes_again(a, message);
		audit_stop(&a);
		assert_true(number("SELECT count(*) FROM channel_decision") >=
		    (kept ? 2 : 1) * ROWS);
		(void)snprintf(command, sizeof(command),
		    "rm -f %s %s-wal %s-shm", db, db, db);
		assert_int_equal(system(command), 0);
	}
}

static struct audit_row *
one_row(void)
{
	const struct audit_facts f = { .at_ms = clock_now_ms(),
		.client = "192.0.2.1",
		.recipient = "r",
		.decision = { .verdict = VERDICT_ACCEPT,
		    .reason = REASON_RECENT_LOGIN } };

	rows_written++;
	return audit_row_new(&f);
}

static uint64_t
small_message(struct audit *a)
{
	return audit_submit(a, one_row(), true);
}

/* Recipients are answered when their rows are written, whatever the disk does
 * for a message of others. */
static void
written_meanwhile(void **state)
{
	struct audit *a = start();

	(void)state;
	set_disk(true, false);
	uint64_t first = small_message(a);

	wait_until(gate_count(&gate.syncing) == 1);
	for (int i = 0; i < 50; i++) {
		uint64_t ticket = audit_submit_written(a, one_row());

		wait_until(audit_state(a, ticket) == AUDIT_WRITTEN);
	}
	uint64_t second = small_message(a);
	uint64_t sync = audit_sync(a);

	/* one flight at a time; and nothing has landed */
	assert_int_equal(gate_count(&gate.syncing), 1);
	assert_int_equal(audit_state(a, first), AUDIT_WRITTEN);
	assert_false(audit_wait(a, second, 100));
	assert_int_not_equal(audit_state(a, sync), AUDIT_DURABLE);
	set_disk(false, false);
	assert_true(audit_wait(a, sync, WAIT_MS));
	assert_int_equal(audit_state_range(a, first, sync), AUDIT_DURABLE);
	stop(a);
}

/* What the disk refused is lost, and what was written with it; then it works
 * again. */
static void
disk_fails(void **state)
{
	struct audit *a = start();
	struct audit_stats stats;

	(void)state;
	uint64_t written = audit_submit_written(a, one_row());

	wait_until(audit_state(a, written) != AUDIT_PENDING);
	set_disk(true, false);
	uint64_t refused = small_message(a);

	wait_until(gate_count(&gate.syncing) == 1);
	uint64_t meanwhile = audit_submit_written(a, one_row());

	wait_until(audit_state(a, meanwhile) == AUDIT_WRITTEN);
	set_disk(false, true);
	assert_false(audit_wait(a, refused, WAIT_MS));
	assert_int_equal(audit_state(a, refused), AUDIT_LOST);
	wait_until(audit_state(a, meanwhile) == AUDIT_LOST);
	writes_again(a, small_message);
	assert_true(audit_healthy(a));
	audit_stats(a, &stats);
	audit_stop(&a);
}

static void
removed_in_flight(void **state)
{
	struct audit *a = start();

	(void)state;
	set_disk(true, false);
	uint64_t flies = small_message(a);

	wait_until(gate_count(&gate.syncing) == 1);
	assert_int_equal(unlink(db), 0);
	set_disk(false, false);
	assert_false(audit_wait(a, flies, WAIT_MS));
	assert_int_equal(audit_state(a, flies), AUDIT_LOST);
	writes_again(a, small_message);
	rows_written = 1; /* at least, in the file that was made anew */
	audit_stop(&a);
	assert_true(
	    number("SELECT count(*) FROM channel_decision") >= rows_written);
}

static void
stops_in_flight(void **state)
{
	struct audit *a = start();

	(void)state;
	set_disk(true, false);
	(void)small_message(a);
	wait_until(gate_count(&gate.syncing) == 1);
	(void)audit_submit(a, one_row(), false);
	set_disk(false, false);
	stop(a);
}

/* An error that the disk tells while the file is opened anew isn't forgotten:
 * it tells it once. */
static void
disk_fails_while_reopened(void **state)
{
	struct audit *a = start();
	char shm[160];

	(void)state;
	set_disk(true, false);
	uint64_t flies = small_message(a);

	wait_until(gate_count(&gate.syncing) == 1);
	(void)snprintf(shm, sizeof(shm), "%s-shm", db);
	assert_int_equal(unlink(shm), 0);
	uint64_t next = audit_submit_written(a, one_row());

	/* the writer closes, and waits for who is at work */
	(void)usleep(100000);
	set_disk(false, true);
	assert_false(audit_wait(a, flies, WAIT_MS));
	wait_until(audit_state(a, next) != AUDIT_PENDING);
	assert_int_equal(audit_state(a, flies), AUDIT_LOST);
	writes_again(a, small_message);
	audit_stop(&a);
}

/* A disk that hangs fills the queue: then relays are refused before their
 * messages are taken. */
static void
disk_hangs(void **state)
{
	struct audit *a = start();
	bool waits = false; /* the writer, for the disk */
	uint64_t ticket = 1;

	(void)state;
	set_disk(true, false);
	(void)small_message(a);
	wait_until(gate_count(&gate.syncing) == 1);
	for (int n = 0; n < 4 * QUEUE && ticket != 0; n++) {
		ticket = audit_submit_written(a, one_row());
		for (int i = 0; !waits && ticket != 0 &&
		     audit_state(a, ticket) == AUDIT_PENDING;
		     i++) {
			(void)usleep(100);
			waits = i == 10000;
		}
	}
	assert_true(waits);
	assert_int_equal(ticket, 0);
	assert_false(audit_healthy(a));
	set_disk(false, false);
	wait_until(audit_healthy(a));
	audit_stop(&a);
	/* but the one that had no room */
	assert_int_equal(number("SELECT count(*) FROM channel_decision"),
	    rows_written - 1);
}

/* At the end what was written while the last flight was under way is brought
 * to the disk, too. */
static void
stops_with_more_written(void **state)
{
	struct audit *a = start();

	(void)state;
	set_disk(true, false);
	(void)small_message(a);
	wait_until(gate_count(&gate.syncing) == 1);
	uint64_t more = audit_submit_written(a, one_row());

	wait_until(audit_state(a, more) == AUDIT_WRITTEN);
	set_disk(false, false);
	audit_drain(a);
	assert_int_equal(audit_state(a, more), AUDIT_DURABLE);
	stop(a);
}

/* A breach was written; then the file can't be opened when the next row comes.
 */
static void
breach_then_no_file(void **state)
{
	const struct audit_breach b = { .at_ms = clock_now_ms(),
		.subject = "192.0.2.1",
		.setting = "client_messages",
		.allowed = "5/1h",
		.client = "192.0.2.1",
		.sender = "" };
	struct audit *a = start();

	(void)state;
	audit_breach(a, &b);
	assert_true(audit_wait(a, small_message(a), WAIT_MS));
	assert_int_equal(unlink(db), 0);
	assert_int_equal(mkdir(db, 0700), 0);
	uint64_t lost = audit_submit(a, one_row(), false);

	wait_until(audit_state(a, lost) != AUDIT_PENDING);
	assert_int_equal(audit_state(a, lost), AUDIT_LOST);
	assert_int_equal(rmdir(db), 0);
	writes_again(a, small_message);
	audit_stop(&a);
	assert_int_equal(number("SELECT count(*) FROM breach"), 0);
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
	set_disk(false, false);
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
		TEST(written_meanwhile),
		TEST(disk_fails),
		TEST(removed_in_flight),
		TEST(stops_in_flight),
		TEST(disk_fails_while_reopened),
		TEST(disk_hangs),
		TEST(stops_with_more_written),
		TEST(breach_then_no_file),
	};

	real_vfs = sqlite3_vfs_find(NULL);
	gate_vfs = *real_vfs;
	gate_vfs.zName = "gate";
	gate_vfs.xOpen = gate_open;
	(void)sqlite3_vfs_register(&gate_vfs, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
