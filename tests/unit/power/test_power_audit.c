/* SPDX-License-Identifier: ISC */
/* The power goes while the milter's audit writes: every recipient whose message
 * was answered 250 has its row, an admin's lift holds, the file is sound. */
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/audit.h"
#include "tests/unit/power/power.h"
#include "tests/unit/silent.h"

enum { LIVES = 5, TURNS = 30, ROWS_MAX = 60000 };

enum told {
	NOTHING, /* whatever may have become of it */
	WRITTEN, /* to the kernel: outlives the process */
	PERMITTED, /* a process began after it was written */
	ANSWERED /* 250 */
};

/* Recipient <n@x>; said by say(), if somebody heard it. */
static enum told told[ROWS_MAX];
static unsigned n_rows, n_lifts;
/* A message may have so many recipients. In a few worlds they are so many that
 * the audit moves its -wal into the file by itself. */
static unsigned most;
static unsigned found[ROWS_MAX]; /* rows of a recipient */

struct range {
	unsigned from, to; /* rows */
	enum told told;
};

static void
say(void *arg)
{
	const struct range *r = arg;

	for (unsigned i = r->from; i < r->to; i++)
		if (told[i] < r->told)
			told[i] = r->told;
}

static void
say_lift(void *arg)
{
	n_lifts = *(unsigned *)arg;
}

/* All writes of a process that has ended are on the disk before the next one
 * does anything else. */
static void
say_synced(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < n_rows; i++)
		if (told[i] == WRITTEN)
			told[i] = PERMITTED;
}

static struct audit *
start(void)
{
	const struct audit_options opt = {
		.path = unit_path(world, "audit.db"),
		.queue = 8000,
		.keep_s = 86400,
		.log_line = no_line,
		.log_state = no_state,
	};
	struct audit *a;
	struct err err;

	if (audit_start(&opt, &a, &err) == -1) {
		if (!disk_is_off())
			fail_msg("%s", err.text);
		return NULL;
	}
	(void)disk_answer(say_synced, NULL);
	return a;
}

/* So many recipients of a message. */
static struct audit_row *
rows(unsigned n, bool refused, bool old)
{
	static char helo[1000];
	struct audit_row *list = NULL;

	memset(helo, 'h', sizeof(helo) - 1);
	for (unsigned i = 0; i < n; i++) {
		char recipient[40];
		const struct audit_facts f = {
			.at_ms = clock_now_ms() -
			    (old ? INT64_C(2) * 86400 * 1000 : 0),
			.client = refused ? "203.0.113.9" : "192.0.2.1",
			.client_name = "c",
			.helo = helo + disk_chance(sizeof(helo)),
			.sender = "<s@y>",
			.recipient = recipient,
			.decision = { .verdict = refused ? VERDICT_REJECT
							 : VERDICT_ACCEPT,
			    .reason = refused ? REASON_NO_LOGIN
					      : REASON_RECENT_LOGIN },
		};

		(void)snprintf(recipient, sizeof(recipient), "<%u@x>",
		    n_rows < ROWS_MAX && !refused && !old ? n_rows++
							  : ROWS_MAX);
		list = audit_row_chain(list, audit_row_new(&f));
	}
	return list;
}

/* A message whose answer waits for the disk. */
static void
message(struct audit *a)
{
	struct range r = { .from = n_rows, .told = ANSWERED };
	struct audit_row *list = rows(1 + disk_chance(most), false, false);

	r.to = n_rows;
	if (audit_wait(a, audit_submit(a, list, true), 60000))
		(void)disk_answer(say, &r);
}

/* One that is permitted when its rows are written, as at RCPT, and answered
 * when they are on the disk, as at DATA; if it comes to that. */
static void
permit(struct audit *a)
{
	struct range r = { .from = n_rows, .told = WRITTEN };
	struct audit_row *list = rows(1 + disk_chance(most), false, false);
	uint64_t ticket = audit_submit_written(a, list);

	r.to = n_rows;
	while (audit_state(a, ticket) == AUDIT_PENDING)
		(void)usleep(200);
	if (audit_state(a, ticket) == AUDIT_LOST)
		return;
	(void)disk_answer(say, &r);
	if (disk_chance(3) == 0 && !disk_is_off())
		disk_process(0);
	if (disk_chance(2) == 0 && audit_wait(a, audit_sync(a), 60000) &&
	    audit_state(a, ticket) == AUDIT_DURABLE) {
		r.told = ANSWERED;
		(void)disk_answer(say, &r);
	}
}

/* Another program moves the -wal into the file, as the sqlite3 shell does. */
static void
checkpoint(void)
{
	sqlite3 *db;

	if (sqlite3_open(unit_path(world, "audit.db"), &db) == SQLITE_OK)
		(void)sqlite3_exec(db,
		    disk_chance(2) == 0 ? "PRAGMA wal_checkpoint(TRUNCATE)"
					: "PRAGMA wal_checkpoint(PASSIVE)",
		    NULL, NULL, NULL);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
lift(void)
{
	unsigned n = n_lifts + 1;
	char subject[40];
	const struct audit_lift l = {
		.at_ms = clock_now_ms(),
		.is_user = true,
		.subject = subject,
		.who = "root",
	};
	struct err err;

	(void)snprintf(subject, sizeof(subject), "user%u", n);
	if (audit_lift(unit_path(world, "audit.db"), &l, &err) == 0)
		(void)disk_answer(say_lift, &n);
}

static void
live(struct audit *a)
{
	for (int i = 0; i < TURNS && !disk_is_off(); i++) {
		switch (disk_chance(12)) {
		case 0:
			checkpoint();
			break;
		case 1:
			lift();
			break;
		case 2:
			(void)audit_submit(
			    a, rows(1 + disk_chance(40), true, false), false);
			break;
		case 3:
			(void)audit_submit(
			    a, rows(1 + disk_chance(40), false, true), false);
			break;
		case 4:
			(void)audit_submit(a,
			    rows(1 + disk_chance(most), false, false), false);
			break;
		case 5:
		case 6:
			permit(a);
			break;
		default:
			message(a);
			break;
		}
	}
	/* a stop in order leaves nothing to the kernel */
	bool stopped = disk_chance(2) == 0;

	if (!stopped && !disk_is_off())
		disk_power(0);
	audit_stop(&a);
	if (disk_is_off())
		return;
	(void)disk_answer(say_synced, NULL);
	disk_power(0);
}

static void
count(sqlite3 *db)
{
	sqlite3_stmt *stmt;
	unsigned i;

	memset(found, 0, sizeof(found));
	if (db == NULL)
		return;
	assert_int_equal(
	    sqlite3_prepare_v2(
		db, "SELECT recipient FROM channel_decision", -1, &stmt, NULL),
	    SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		if (sscanf((const char *)sqlite3_column_text(stmt, 0), "<%u@x>",
			&i) == 1 &&
		    i < ROWS_MAX)
			found[i]++;
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
}

static void
look(void)
{
	sqlite3 *db = power_look("audit.db");
	char text[40];

	count(db);
	for (unsigned i = 0; i < n_rows; i++) {
		if (found[i] == 1 || (told[i] < PERMITTED && found[i] == 0))
			continue;
		ROW("recipient %u, told %d", i, told[i]);
		assert_int_equal(found[i], 1);
	}
	for (unsigned i = 1; i <= n_lifts; i++) {
		ROW("lift %u", i);
		(void)snprintf(text, sizeof(text), "user%u", i);
		assert_non_null(db);
		assert_true(power_ask(db,
				"SELECT count(*) FROM lift WHERE subject = ?1",
				text, NULL) > 0);
	}
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Writes that outlived the process were not synced: the disk may lose them. */
static void
forget_written(void)
{
	for (unsigned i = 0; i < n_rows; i++)
		if (told[i] == WRITTEN)
			told[i] = NOTHING;
}

static void
play(uint64_t seed)
{
	disk_begin(world, seed);
	memset(told, 0, sizeof(told));
	n_rows = n_lifts = 0;
	most = disk_chance(40) == 0 ? 2000 : 20;
	bool killed = false;

	for (int i = 0; i < LIVES; i++) {
		ROW("POPGATE_SEED=%" PRIu64 ", life %d", seed, i);
		/* of two ends close together, only the second is the power's */
		bool soon = killed && disk_chance(4) != 0;
		bool power = soon || disk_chance(3) != 0;
		unsigned operations = disk_chance(soon ? 6
			: disk_chance(3) == 0          ? 40
						       : 30 * most);

		(power ? disk_power : disk_process)(operations);
		struct audit *a = start();

		if (a != NULL)
			live(a);
		/* it may have ended by itself, and the power went then */
		power = disk_ended_by_power();
		disk_return();
		if (power)
			forget_written();
		killed = !power;
		look();
	}
	power_empty(world);
}

static void
every_answer_has_its_row(void **state)
{
	uint64_t first = power_number("POPGATE_SEED", 1);
	uint64_t n = power_number("POPGATE_POWER", 40);

	(void)state;
	for (uint64_t seed = first; seed < first + n; seed++)
		play(seed);
}

static int
begin(void **state)
{
	(void)state;
	power_begin();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	power_end();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_has_its_row),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
