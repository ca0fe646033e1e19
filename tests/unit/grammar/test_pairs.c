/* SPDX-License-Identifier: ISC */
/* Tests of pairs.h. */
#include "tests/unit/unit.h"

#include "common/grammar/pairs.h"

static struct pair_key
key_of(const char *host, unsigned server, int64_t pid)
{
	return (struct pair_key){
		.host = host,
		.host_len = host == NULL ? 0 : strlen(host),
		.server = server,
		.pid = pid,
	};
}

static struct addr
client_of(unsigned n)
{
	return (struct addr){
		.family = ADDR_IPV4,
		.bytes = { 10, (uint8_t)(n >> 16), (uint8_t)(n >> 8),
		    (uint8_t)n },
	};
}

static void
pair_is_taken_once(void **state)
{
	struct pairs *pairs = pairs_new(16);
	struct pair_key key = key_of("mail", 1, 7);
	struct addr client = client_of(1), got;

	(void)state;
	assert_non_null(pairs);
	assert_false(pairs_take(pairs, &key, 100, 120, &got));
	pairs_open(pairs, &key, &client, 100);
	assert_true(pairs_take(pairs, &key, 100, 120, &got));
	assert_true(addr_equal(&got, &client));
	assert_false(pairs_take(pairs, &key, 100, 120, &got));
	pairs_free(&pairs);
	assert_null(pairs);
	pairs_free(NULL);
}

static void
age_is_limited(void **state)
{
	struct pairs *pairs = pairs_new(16);
	struct pair_key key = key_of("mail", 1, 7);
	struct addr client = client_of(1), got;

	(void)state;
	pairs_open(pairs, &key, &client, 100);
	assert_true(pairs_take(pairs, &key, 220, 120, &got));
	pairs_open(pairs, &key, &client, 100);
	assert_false(pairs_take(pairs, &key, 221, 120, &got));
	/* too late once is too late for good */
	assert_false(pairs_take(pairs, &key, 120, 120, &got));
	pairs_open(pairs, &key, &client, 100);
	assert_false(pairs_take(pairs, &key, 99, 120, &got));
	pairs_free(&pairs);
}

static void
keys_differ_in_each_part(void **state)
{
	struct pairs *pairs = pairs_new(64);
	struct pair_key keys[] = {
		key_of("mail", 1, 7),
		key_of("mail", 2, 7),
		key_of("mail", 1, 8),
		key_of("mail2", 1, 7),
		key_of(NULL, 1, 7),
	};
	struct addr client, got;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		client = client_of(i);
		pairs_open(pairs, &keys[i], &client, 100);
	}
	for (unsigned i = 0; i < 5; i++) {
		client = client_of(i);
		assert_true(pairs_take(pairs, &keys[i], 100, 120, &got));
		assert_true(addr_equal(&got, &client));
	}
	pairs_free(&pairs);
}

static void
newer_pair_replaces_older(void **state)
{
	struct pairs *pairs = pairs_new(16);
	struct pair_key key = key_of("mail", 1, 7);
	struct addr first = client_of(1), second = client_of(2), got;

	(void)state;
	pairs_open(pairs, &key, &first, 100);
	pairs_open(pairs, &key, &second, 101);
	assert_true(pairs_take(pairs, &key, 101, 120, &got));
	assert_true(addr_equal(&got, &second));
	assert_false(pairs_take(pairs, &key, 101, 120, &got));
	pairs_free(&pairs);
}

static void
forgotten_is_forgotten(void **state)
{
	struct pairs *pairs = pairs_new(16);
	struct pair_key key = key_of("mail", 1, 7);
	struct addr client = client_of(1), got;

	(void)state;
	pairs_forget(pairs, &key);
	pairs_open(pairs, &key, &client, 100);
	pairs_forget(pairs, &key);
	assert_false(pairs_take(pairs, &key, 100, 120, &got));
	pairs_free(&pairs);
}

static void
unusable_keys_are_not_kept(void **state)
{
	struct pairs *pairs = pairs_new(16);
	char host[PAIRS_HOST_MAX + 2];
	struct pair_key no_pid = key_of("mail", 1, -1);
	struct pair_key key;
	struct addr client = client_of(1), got;

	(void)state;
	pairs_open(pairs, &no_pid, &client, 100);
	assert_false(pairs_take(pairs, &no_pid, 100, 120, &got));

	memset(host, 'h', sizeof(host));
	host[PAIRS_HOST_MAX] = '\0';
	key = key_of(host, 1, 7);
	pairs_open(pairs, &key, &client, 100);
	assert_true(pairs_take(pairs, &key, 100, 120, &got));
	host[PAIRS_HOST_MAX] = 'h';
	host[PAIRS_HOST_MAX + 1] = '\0';
	key = key_of(host, 1, 7);
	pairs_open(pairs, &key, &client, 100);
	assert_false(pairs_take(pairs, &key, 100, 120, &got));
	pairs_free(&pairs);
}

/* A flood may push out old pairs, and never marries two. */
static void
table_is_bounded(void **state)
{
	enum { N = 10000 };
	struct pairs *pairs = pairs_new(1000);
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		struct pair_key key = key_of("mail", 1, i);
		struct addr client = client_of(i);

		pairs_open(pairs, &key, &client, i / 100);
	}
	for (unsigned i = 0; i < N; i++) {
		struct pair_key key = key_of("mail", 1, i);
		struct addr client = client_of(i), got;

		if (!pairs_take(pairs, &key, N / 100, N, &got))
			continue;
		assert_true(addr_equal(&got, &client));
		/* the youngest of a bucket stay */
		assert_true(i >= N - 1024);
		found++;
	}
	assert_int_equal(found, 1024);
	pairs_free(&pairs);
}

struct seen {
	unsigned n, until;
	int64_t pids;
};

static bool
see(void *arg, const struct pair_key *key, const struct addr *client,
    int64_t at)
{
	struct seen *s = arg;

	assert_int_equal(key->host_len, 4);
	assert_memory_equal(key->host, "mail", 4);
	assert_int_equal(key->server, 1);
	assert_int_equal(client->bytes[3], key->pid);
	assert_int_equal(at, 100 + key->pid);
	s->pids += key->pid;
	return ++s->n < s->until;
}

static void
what_is_open_is_told(void **state)
{
	struct pairs *pairs = pairs_new(16);
	struct seen all = { .until = 9 }, first = { .until = 1 };
	uint64_t before = pairs_changes(pairs);
	struct pair_key key;
	struct addr client;

	(void)state;
	for (unsigned i = 1; i <= 4; i++) {
		key = key_of("mail", 1, i);
		client = client_of(i);
		pairs_open(pairs, &key, &client, 100 + i);
		assert_true(pairs_changes(pairs) > before);
		before = pairs_changes(pairs);
	}
	pairs_forget(pairs, &key);
	assert_true(pairs_changes(pairs) > before);
	before = pairs_changes(pairs);
	key = key_of("mail", 1, 1);
	assert_true(pairs_take(pairs, &key, 101, 120, &client));
	assert_true(pairs_changes(pairs) > before);
	before = pairs_changes(pairs);
	pairs_forget(pairs, &key); /* nothing there */
	assert_true(pairs_each(pairs, see, &all));
	assert_int_equal(all.pids, 2 + 3);
	assert_false(pairs_each(pairs, see, &first));
	assert_int_equal(pairs_changes(pairs), before);
	pairs_free(&pairs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pair_is_taken_once),
		cmocka_unit_test(age_is_limited),
		cmocka_unit_test(keys_differ_in_each_part),
		cmocka_unit_test(newer_pair_replaces_older),
		cmocka_unit_test(forgotten_is_forgotten),
		cmocka_unit_test(unusable_keys_are_not_kept),
		cmocka_unit_test(table_is_bounded),
		cmocka_unit_test(what_is_open_is_told),
	};

	return cmocka_run_group_tests_name("pairs", tests, NULL, NULL);
}
