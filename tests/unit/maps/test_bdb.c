/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/base/err.h"
#include "common/maps/bdb.h"

struct seen {
	size_t n;
	char key[64], value[64];
};

static bool
take(void *arg, const char *key, const char *value)
{
	struct seen *seen = arg;

	seen->n++;
	(void)snprintf(seen->key, sizeof(seen->key), "%s", key);
	(void)snprintf(seen->value, sizeof(seen->value), "%s", value);
	return seen->n < 100;
}

static void
written_and_read(void **state)
{
	char path[128];
	const char *dir = unit_dir();
	struct seen seen = { 0 };
	struct bdb *db = NULL;
	struct err err;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/a.db", dir);
	if (bdb_open(path, true, &db, &err) == -1) {
		(void)rmdir(dir);
		print_message("%s\n", err.text);
		skip(); /* no libdb here */
	}
	assert_int_equal(bdb_put(db, "192.0.2.1", "RELAY", &err), 0);
	assert_int_equal(bdb_put(db, "192.0.2.1", "OK", &err), 0);
	assert_int_equal(bdb_close(&db, &err), 0);
	assert_null(db);
	assert_true(bdb_is_hash(path));
	/* a file that is there isn't created anew */
	assert_int_equal(bdb_open(path, true, &db, &err), -1);
	assert_int_equal(bdb_open(path, false, &db, &err), 0);
	assert_int_equal(bdb_each(db, take, &seen, &err), 0);
	assert_int_equal(bdb_close(&db, &err), 0);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.key, "192.0.2.1");
	assert_string_equal(seen.value, "OK");
	(void)unlink(path);
	(void)rmdir(dir);
}

static void
no_hash(void **state)
{
	const char *path = unit_file(0, "no hash at all, but long enough\n");
	struct bdb *db = NULL;
	struct err err;

	(void)state;
	assert_false(bdb_is_hash(path));
	assert_false(bdb_is_hash("/nonexistent/file"));
	assert_int_equal(bdb_open(path, false, &db, &err), -1);
	assert_null(db);
	(void)unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_and_read),
		cmocka_unit_test(no_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
