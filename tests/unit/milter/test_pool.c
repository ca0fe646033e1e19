/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "common/base/err.h"
#include "common/db/store.h"
#include "milter/pool.h"

/* readers that a pool keeps; one more than these must be lent, too */
enum { READERS = 4, THREADS = 8, ROUNDS = 300 };

static char dir[64], path[80];

static void
make_table(const char *at, const char *user)
{
	const struct store_row row = {
		.client = "192.0.2.1",
		.user = user,
		.service = "pop3",
		.server = "test",
		.expires_at = STORE_FOREVER,
	};
	struct store *st;
	struct err err;

	if (store_open(at, STORE_WRITE, &st, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(store_set(st, &row, &err), 0);
	assert_int_equal(store_commit(st, &err), 0);
	store_close(&st);
}

static void
remove_table(void)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char name[100];

	for (int i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		(void)unlink(name);
	}
}

static int
setup(void **state)
{
	struct pool *pool = pool_new(path);

	make_table(path, "alice");
	*state = pool;
	return pool == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	pool_free(*state);
	remove_table();
	return 0;
}

static void
take(struct pool *pool, struct pool_loan *loan)
{
	struct err err;

	if (pool_take(pool, loan, &err) == -1)
		fail_msg("%s", err.text);
	assert_non_null(loan->st);
}

/* Does the table hold a login of this user? */
static bool
names(struct store *st, const char *user)
{
	struct store_lookup found;
	struct addr client;
	struct err err;

	assert_true(addr_parse_loose("192.0.2.1", &client));
	assert_int_equal(
	    store_lookup(st, &client, NULL, 64, 1, &found, &err), 0);
	return strcmp(found.user, user) == 0;
}

static void
rest(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	(void)nanosleep(&moment, NULL);
}

static void
the_warm_one_is_lent_again(void **state)
{
	struct pool *pool = *state;
	struct pool_loan loan;

	take(pool, &loan);
	struct store *first = loan.st;

	assert_true(names(first, "alice"));
	pool_give(pool, &loan, true);
	take(pool, &loan);
	assert_ptr_equal(loan.st, first);
	pool_give(pool, &loan, true);
}

static void
what_gave_an_error_is_closed(void **state)
{
	struct pool *pool = *state;
	struct pool_loan loan;

	take(pool, &loan);
	pool_give(pool, &loan, false);
	assert_null(loan.st);
	take(pool, &loan);
	assert_true(names(loan.st, "alice"));
	pool_give(pool, &loan, true);
}

static void
more_than_are_kept(void **state)
{
	struct pool *pool = *state;
	struct pool_loan loan[READERS + 2];

	for (int i = 0; i < READERS + 2; i++)
		take(pool, &loan[i]);
	for (int i = 0; i < READERS + 2; i++) {
		assert_true(names(loan[i].st, "alice"));
		pool_give(pool, &loan[i], true);
		/* kept open by the pool, or closed */
		assert_null(loan[i].st);
	}
}

static void
a_missing_table_is_an_error(void **state)
{
	struct pool *pool = *state;
	struct pool_loan loan;
	struct err err;

	take(pool, &loan);
	pool_give(pool, &loan, true);
	remove_table();
	while (pool_take(pool, &loan, &err) == 0) {
		pool_give(pool, &loan, true);
		rest();
	}
	assert_non_null(strstr(err.text, path));
	assert_null(loan.st);
	make_table(path, "bob");
	while (pool_take(pool, &loan, &err) == -1)
		rest();
	assert_true(names(loan.st, "bob"));
	pool_give(pool, &loan, true);
}

/* A loan of the old file is good until it is given back. */
static void
a_replaced_table_is_opened(void **state)
{
	struct pool *pool = *state;
	struct pool_loan old, loan;
	bool noticed = false;

	take(pool, &old);
	remove_table();
	make_table(path, "bob");
	/* the pool doesn't look each time */
	while (!noticed) {
		rest();
		take(pool, &loan);
		noticed = loan.generation != old.generation;
		pool_give(pool, &loan, true);
	}
	assert_true(names(old.st, "alice"));
	pool_give(pool, &old, true);
	for (int i = 0; i < READERS; i++) {
		take(pool, &loan);
		assert_true(names(loan.st, "bob"));
		pool_give(pool, &loan, true);
	}
}

static atomic_int wrong;

static void *
borrow(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct pool_loan loan;
		struct err err;

		if (pool_take(arg, &loan, &err) == -1) {
			atomic_fetch_add(&wrong, 1);
			continue;
		}
		if (!names(loan.st, "alice"))
			atomic_fetch_add(&wrong, 1);
		pool_give(arg, &loan, i % 16 != 0);
	}
	return NULL;
}

static void
many_threads(void **state)
{
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&thread[i], NULL, borrow, *state), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(atomic_load(&wrong), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    the_warm_one_is_lent_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    what_gave_an_error_is_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    more_than_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_missing_table_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_replaced_table_is_opened, setup, teardown),
		cmocka_unit_test_setup_teardown(many_threads, setup, teardown),
	};

	(void)snprintf(dir, sizeof(dir), "%s", unit_dir());
	(void)snprintf(path, sizeof(path), "%s/logins.db", dir);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	(void)rmdir(dir);
	return failed;
}
