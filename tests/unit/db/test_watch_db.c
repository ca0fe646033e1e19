/* SPDX-License-Identifier: ISC */
/* db_watch: a word while a step takes long, and none when it doesn't. */
#include "tests/unit/unit.h"

#include "common/base/err.h"
#include "common/db/db.h"

struct told {
	int busy, done;
	bool open; /* said busy, not yet done */
};

static void
busy(void *arg, int64_t ms)
{
	struct told *t = arg;

	assert_true(ms >= 0);
	t->busy++;
	t->open = true;
}

static void
done(void *arg)
{
	struct told *t = arg;

	assert_true(t->open);
	t->done++;
	t->open = false;
}

/* Work until two rows, and the end, have come; each row is a long step. */
static void
walk(sqlite3 *db, struct told *t)
{
	sqlite3_stmt *stmt;
	struct err err;

	assert_int_equal(
	    db_prepare(db,
		"SELECT (WITH RECURSIVE n(i) AS "
		"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) "
		"SELECT count(*) FROM n WHERE i + v > 0) FROM "
		"(SELECT 1 AS v UNION ALL SELECT 2)",
		&stmt, &err),
	    0);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		assert_false(t->open); /* gone before the row is shown */
	assert_false(t->open);
	(void)sqlite3_finalize(stmt);
}

static void
watched(void **state)
{
	struct told t = { 0 };
	struct db_watch w = {
		.after_ms = 0, .busy = busy, .done = done, .arg = &t
	};
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	db_watch(db, &w);
	walk(db, &t);
	assert_true(t.busy >= 2);
	assert_int_equal(t.done, 2);
	/* long is what takes a day */
	w.after_ms = 86400000;
	t = (struct told){ 0 };
	walk(db, &t);
	assert_int_equal(t.busy + t.done, 0);
	(void)sqlite3_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(watched) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
